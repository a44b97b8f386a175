# SPDX-License-Identifier: Apache-2.0
"""The node as its own process over real DDS: what comes out for what goes in."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from geometry_msgs.msg import Quaternion
from headpose_ros.msg import HeadPose
from scipy.spatial.transform import Rotation

from headpose_core.geometry.rotation import BODY_TO_OPTICAL, matrix_from_angles
from headpose_core.images.image_messages import image_from_message
from headpose_core.images.video import VideoReader
from headpose_core.pose.head_pose_model import HeadPoseModel
from tests.ros.graph import FRAME, NodeProcess, Probe, camera_info, image_message

Start = Callable[..., NodeProcess]


def turn(quaternion: Quaternion) -> np.ndarray:
    """(3, 3) of a message's quaternion."""
    values = [quaternion.x, quaternion.y, quaternion.z, quaternion.w]
    return Rotation.from_quat(values).as_matrix()


def in_corner(photo: np.ndarray) -> np.ndarray:
    """The astronaut's head at the upper left of a dark image of 1280x720."""
    image = np.full((720, 1280, 3), 20, np.uint8)
    image[:360, :360] = photo[:360, 60:420]
    return image


def test_video(start: Start, probe: Probe, car_video: object) -> None:
    """Each image is answered, under its own stamp, by one head with one id."""
    start(probe.namespace)
    probe.until_ready()
    images = [image for _, image in VideoReader(car_video)]
    sent = [image_message(image, number) for number, image in enumerate(images)]
    answers = [probe.ask(message) for message in sent]
    assert [a.header for a in answers] == [m.header for m in sent]
    assert len(probe.poses) == len(images) == 120
    assert [len(a.heads) for a in answers] == [1] * 120
    heads = [a.heads[0] for a in answers]
    assert len({head.face_id for head in heads}) == 1
    assert [head.track_age for head in heads] == list(range(1, 121))
    values = probe.until_values(images_processed=120)
    assert values["images_in"] == "120"
    assert (values["images_dropped"], values["images_failed"]) == ("0", "0")
    assert (values["device_asked"], values["device"], values["faces"]) == ("auto", "cpu", "1")
    assert not probe.transforms  # there was no calibration
    assert np.isnan(heads[0].position.x)
    assert heads[0].position_covariance[0] == -1.0
    assert not heads[0].perspective_corrected


@pytest.fixture
def corner_head(start: Start, probe: Probe, astronaut: np.ndarray) -> HeadPose:
    """The head in the corner of a calibrated image, when it is confirmed and its TF came."""
    start(probe.namespace, id_prefix="corner")
    probe.until_ready()
    probe.calibrate(camera_info(1280, 720, 900.0))
    image = in_corner(astronaut)
    probe.ask(image_message(image, 0))
    answer = probe.ask(image_message(image, 1))
    probe.until(lambda: probe.transforms, "TF")
    (head,) = answer.heads
    return head


def test_angles_mean_the_same_everywhere(corner_head: HeadPose, probe: Probe) -> None:
    """Paper angles, message angles, orientation and TF, of a face far from the optical axis."""
    head = corner_head
    R = matrix_from_angles(head.paper_angles)
    body = Rotation.from_matrix(BODY_TO_OPTICAL.T @ R @ BODY_TO_OPTICAL)
    np.testing.assert_allclose([head.yaw, head.pitch, head.roll], body.as_euler("ZYX"), atol=1e-9)

    roi = head.roi
    middle = [roi.x_offset + roi.width / 2, roi.y_offset + roi.height / 2, 1.0]
    K = np.array([[900.0, 0.0, 639.5], [0.0, 900.0, 359.5], [0.0, 0.0, 1.0]])
    ray = np.linalg.solve(K, middle)
    ray /= np.linalg.norm(ray)
    assert np.degrees(np.arccos(ray[2])) > 25.0  # else this test would say little
    axis = np.cross([0.0, 0.0, 1.0], ray)
    R_ray = cv2.Rodrigues(axis / np.linalg.norm(axis) * np.arccos(ray[2]))[0]
    off = turn(head.orientation).T @ R_ray @ R @ BODY_TO_OPTICAL
    assert np.degrees(Rotation.from_matrix(off).magnitude()) < 0.1  # the roi is whole pixels
    assert head.perspective_corrected

    face = probe.transforms[f"face_{head.face_id}"]
    assert face.header.frame_id == FRAME
    assert face.transform.rotation == head.orientation
    place = face.transform.translation
    assert [place.x, place.y, place.z] == [head.position.x, head.position.y, head.position.z]
    position = np.array([place.x, place.y, place.z])
    assert 0.2 < position[2] < 3.0
    assert np.degrees(np.arccos(position @ ray / np.linalg.norm(position))) < 5.0

    gaze = probe.transforms[f"gaze_{head.face_id}"].transform
    assert gaze.translation == place
    np.testing.assert_allclose(
        turn(gaze.rotation)[:, 2], turn(head.orientation)[:, 0], atol=1e-9
    )  # z of the gaze is x of the face
    in_face = turn(Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5))  # as REP-155 has it
    np.testing.assert_allclose(turn(gaze.rotation), turn(head.orientation) @ in_face, atol=1e-9)


def test_uncertainty_is_filled(corner_head: HeadPose) -> None:
    std = np.array(corner_head.stddev)
    assert (std >= np.radians(3 / np.sqrt(12)) - 1e-9).all()
    for covariance in (corner_head.orientation_covariance, corner_head.position_covariance):
        matrix = np.reshape(covariance, (3, 3))
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
        assert (np.linalg.eigvalsh(matrix) > 0).all()


def test_region_is_inside_the_image(start: Start, probe: Probe, astronaut: np.ndarray) -> None:
    """Also for a face that is cut by the border."""
    start(probe.namespace)
    probe.until_ready()
    cut = np.ascontiguousarray(astronaut[60:300, 205:400])  # through her right cheek
    (head,) = probe.ask(image_message(cut)).heads
    assert head.roi.x_offset == 0
    assert 0 < head.roi.width <= 195
    assert head.roi.y_offset + head.roi.height <= 240


def test_no_face_gives_an_empty_array(start: Start, probe: Probe) -> None:
    start(probe.namespace)
    probe.until_ready()
    message = image_message(np.full((240, 320, 3), 128, np.uint8))
    answer = probe.ask(message)
    assert answer.heads == []
    assert answer.header == message.header


def test_photos(start: Start, probe: Probe, shared_dir: object) -> None:
    """Real photos of several people: the most prominent first, no id twice, max_faces kept."""
    photo = cv2.imread(str(shared_dir / "data/photos/insightface_t1.jpg"))
    start(probe.namespace, max_faces=4)
    probe.until_ready()
    answer = probe.ask(image_message(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB)))
    assert len(answer.heads) == 4  # of six
    values = [
        np.sqrt(head.roi.width * head.roi.height) * head.face_score**3 for head in answer.heads
    ]
    assert values == sorted(values, reverse=True)
    assert len({head.face_id for head in answer.heads}) == 4


def test_debug_image_is_made_on_demand(start: Start, probe: Probe, astronaut: np.ndarray) -> None:
    start(probe.namespace)
    probe.until_ready()
    numbers = itertools.count()
    probe.ask(image_message(astronaut, next(numbers)))
    probe.listen_to_debug_images()

    def drawn() -> bool:
        probe.ask(image_message(astronaut, next(numbers)))
        return bool(probe.debug_images)

    probe.until(drawn, "a debug image")
    message = probe.debug_images[0]
    assert message.header.stamp.sec == 1000
    difference = cv2.absdiff(image_from_message(message), astronaut)
    assert 0.001 < (difference.max(axis=-1) > 60).mean() < 0.5  # drawn on, yet the same photo


def test_confirmation_and_switch_gate_tf(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    """TF only from the second image of a face on; heads from the first."""
    start(probe.namespace, id_prefix="gate", track__min_hits=3)
    probe.until_ready()
    probe.calibrate(camera_info(512, 512, 500.0))
    for number in range(2):
        (head,) = probe.ask(image_message(astronaut, number)).heads
        assert head.face_id == "gate1"
        assert np.isfinite(head.position.z)
    probe.until_values(images_processed=2)
    assert not probe.transforms
    probe.ask(image_message(astronaut, 2))
    probe.until(lambda: "face_gate1" in probe.transforms, "TF")
    assert probe.transforms["face_gate1"].header.stamp.nanosec == 66666667


def test_calibration_of_another_size_is_not_used(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    start(probe.namespace)
    probe.until_ready()
    probe.calibrate(camera_info(640, 480, 500.0))
    (head,) = probe.ask(image_message(astronaut)).heads
    assert np.isnan(head.position.x)
    values = probe.until_values(calibrated="False")
    assert "640x480, images are 512x512" in values["calibrated"]


def test_shipped_model_is_the_default(start: Start, probe: Probe, astronaut: np.ndarray) -> None:
    """On a face that looks into the camera."""
    start(probe.namespace, model="''")
    probe.until_ready()
    (head,) = probe.ask(image_message(astronaut)).heads
    yaw, pitch, roll = head.paper_angles
    assert abs(yaw) < 30
    assert abs(pitch) < 30
    assert abs(roll) < 30
    shipped = HeadPoseModel.load().metadata
    values = probe.until_values(images_processed=1)
    assert values["model"] == f"{shipped.name} {shipped.version}"
