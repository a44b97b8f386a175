# SPDX-License-Identifier: Apache-2.0
"""``Frame`` to messages and CameraInfo to ``Camera``; headpose_core.rotation has the angles."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Quaternion, TransformStamped
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from headpose_core.camera import is_calibrated
from headpose_core.rotation import BODY_TO_OPTICAL, quaternion_from_matrix, rep103_angles
from headpose_core.types import Camera, FloatArray, Frame, Head
from headpose_ros.msg import HeadPose, HeadPoseArray

UNKNOWN_COVARIANCE = np.array([-1.0] + 8 * [0.0])
# REP-155: the gaze frame has optical axes, z along the gaze. Without eyes that is the face's x.
_GAZE_IN_FACE = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def seconds(stamp: Time) -> float:
    return stamp.sec + stamp.nanosec * 1e-9


def camera_from_message(info: CameraInfo) -> Camera:
    """The camera that a CameraInfo describes, calibrated or not."""
    return Camera(
        width=info.width,
        height=info.height,
        K=np.array(info.k, np.float64).reshape(3, 3),
        D=np.array(info.d, np.float64),
        distortion_model=info.distortion_model,
    )


def calibration_problem(camera: Camera | None, image_size: tuple[int, int] | None) -> str:
    """Why `camera` says nothing about images of `image_size` (w, h); "" when it does.

    None: no camera_info, or no image, came yet.
    """
    if camera is None:
        return "no camera_info yet"
    if not is_calibrated(camera):
        return "camera_info has no calibration that can be used"
    if image_size not in (None, (camera.width, camera.height)):
        sizes = f"for {camera.width}x{camera.height}, images are {image_size[0]}x{image_size[1]}"
        return f"camera_info is {sizes}"
    return ""


def head_pose_array(frame: Frame, header: Header, image_size: tuple[int, int]) -> HeadPoseArray:
    """The message for all heads of one image; ``header`` is the image's, ``image_size`` (w, h)."""
    return HeadPoseArray(header=header, heads=[_head_pose(h, image_size) for h in frame.heads])


def transforms(frame: Frame, header: Header) -> TFMessage:
    """``face_<id>`` and ``gaze_<id>`` of the heads that are confirmed and whose place is known."""
    message = TFMessage()
    for head in frame.heads:
        if not head.confirmed or not np.isfinite(head.position).all():
            continue
        face = orientation(head)
        for name, axes in (("face", face), ("gaze", face @ _GAZE_IN_FACE)):
            transform = TransformStamped(header=header, child_frame_id=f"{name}_{head.face_id}")
            place = transform.transform.translation
            place.x, place.y, place.z = map(float, head.position)
            transform.transform.rotation = _quaternion(axes)
            message.transforms.append(transform)
    return message


def orientation(head: Head) -> FloatArray:
    """The REP-103 axes of a head as columns (3, 3) in the optical frame: R_ray R B."""
    return head.ray_rotation @ head.rotation @ BODY_TO_OPTICAL


def _head_pose(head: Head, image_size: tuple[int, int]) -> HeadPose:
    yaw, pitch, roll = map(float, rep103_angles(head.rotation))
    x, y, z = map(float, head.position)
    return HeadPose(
        face_id=head.face_id,
        face_score=float(head.score),
        roi=clipped_roi(head.box, image_size),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        stddev=np.radians(head.std_deg),
        paper_angles=np.asarray(head.paper_angles_deg, np.float64),
        orientation=_quaternion(orientation(head)),
        orientation_covariance=_covariance(head.covariance),
        position=Point(x=x, y=y, z=z),
        position_covariance=_covariance(head.position_covariance),
        perspective_corrected=head.perspective_corrected,
        extrapolated=head.extrapolated,
        track_age=head.track_age,
    )


def clipped_roi(box: np.ndarray, image_size: tuple[int, int]) -> RegionOfInterest:
    """The part of a box (4,) x1, y1, x2, y2 that lies in the image, in whole pixels."""
    width, height = image_size
    limits = np.array([width, height, width, height])
    corners = np.clip(np.round(box), 0, limits).astype(int).tolist()
    x1, y1, x2, y2 = corners
    return RegionOfInterest(x_offset=x1, y_offset=y1, width=x2 - x1, height=y2 - y1)


def _quaternion(axes: FloatArray) -> Quaternion:
    x, y, z, w = map(float, quaternion_from_matrix(axes))
    return Quaternion(x=x, y=y, z=z, w=w)


def _covariance(matrix: FloatArray) -> FloatArray:
    """Row major (9,) as ROS has it: -1 in front says that it is not known."""
    return matrix.ravel() if np.isfinite(matrix).all() else UNKNOWN_COVARIANCE
