# SPDX-License-Identifier: Apache-2.0
"""``Frame`` to messages; ``rotation`` has the angles.

Nothing of ROS is imported here. ``make`` builds the messages: by ROS's own classes in the node, by
a bag writer's in ``headpose bag``. Both get the same fields, in the same order of the same values.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from headpose_core.geometry.quaternions import quaternion_from_matrix
from headpose_core.geometry.rotation import BODY_TO_OPTICAL, rep103_angles
from headpose_core.types import FloatArray, Frame, Head


class MessageFactory(Protocol):
    """A message of a type such as "geometry_msgs/msg/Point" with these fields."""

    def __call__(self, type_name: str, /, **fields: Any) -> Any: ...


UNKNOWN_COVARIANCE = np.array([-1.0] + 8 * [0.0])
# REP-155: the gaze frame has optical axes, z along the gaze. Without eyes that is the face's x.
_GAZE_IN_FACE = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def seconds(stamp: Any) -> float:
    """A builtin_interfaces/Time as seconds."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def head_pose_array(
    make: MessageFactory, frame: Frame, header: Any, image_size: tuple[int, int]
) -> Any:
    """The HeadPoseArray of one image; ``header`` is the image's, ``image_size`` (w, h)."""
    heads = [_head_pose(make, head, image_size) for head in frame.heads]
    return make("headpose_ros/msg/HeadPoseArray", header=header, heads=heads)


def transforms(make: MessageFactory, frame: Frame, header: Any) -> Any:
    """The TFMessage with ``face_<id>`` and ``gaze_<id>`` of each head that is confirmed and whose
    place is known."""
    found = []
    for head in frame.heads:
        if not head.confirmed or not np.isfinite(head.position).all():
            continue
        face = orientation(head)
        for name, axes in (("face", face), ("gaze", face @ _GAZE_IN_FACE)):
            transform = make(
                "geometry_msgs/msg/Transform",
                translation=make("geometry_msgs/msg/Vector3", **_xyz(head.position)),
                rotation=_quaternion(make, axes),
            )
            found.append(
                make(
                    "geometry_msgs/msg/TransformStamped",
                    header=header,
                    child_frame_id=f"{name}_{head.face_id}",
                    transform=transform,
                )
            )
    return make("tf2_msgs/msg/TFMessage", transforms=found)


def orientation(head: Head) -> FloatArray:
    """The REP-103 axes of a head as columns (3, 3) in the optical frame: R_ray R B."""
    return head.ray_rotation @ head.rotation @ BODY_TO_OPTICAL


def _head_pose(make: MessageFactory, head: Head, image_size: tuple[int, int]) -> Any:
    yaw, pitch, roll = map(float, rep103_angles(head.rotation))
    return make(
        "headpose_ros/msg/HeadPose",
        face_id=head.face_id,
        face_score=float(head.score),
        roi=_roi(make, clipped_box(head.box, image_size)),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        stddev=np.radians(head.std_deg),
        paper_angles=np.asarray(head.paper_angles_deg, np.float64),
        orientation=_quaternion(make, orientation(head)),
        orientation_covariance=_covariance(head.covariance),
        position=make("geometry_msgs/msg/Point", **_xyz(head.position)),
        position_covariance=_covariance(head.position_covariance),
        perspective_corrected=head.perspective_corrected,
        extrapolated=head.extrapolated,
        track_age=head.track_age,
    )


def clipped_box(box: ArrayLike, image_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of a box (4,) x1, y1, x2, y2 that lies in the image (w, h), in whole pixels."""
    width, height = image_size
    limits = np.array([width, height, width, height])
    x1, y1, x2, y2 = np.clip(np.round(np.asarray(box)), 0, limits).astype(int).tolist()
    return x1, y1, x2, y2


def _roi(make: MessageFactory, box: tuple[int, int, int, int]) -> Any:
    x1, y1, x2, y2 = box
    return make(
        "sensor_msgs/msg/RegionOfInterest",
        x_offset=x1,
        y_offset=y1,
        width=x2 - x1,
        height=y2 - y1,
        do_rectify=False,
    )


def _quaternion(make: MessageFactory, axes: FloatArray) -> Any:
    x, y, z, w = map(float, quaternion_from_matrix(axes))
    return make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


def _xyz(vector: FloatArray) -> dict[str, float]:
    return dict(zip("xyz", map(float, vector), strict=True))


def _covariance(matrix: FloatArray) -> FloatArray:
    """Row major (9,) as ROS has it: -1 in front says that it is not known."""
    return matrix.ravel() if np.isfinite(matrix).all() else UNKNOWN_COVARIANCE
