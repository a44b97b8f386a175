# SPDX-License-Identifier: Apache-2.0
"""BIWI's geometry against sums done by hand and against a scene projected by other means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headpose_core.faces.yunet import YuNet
from headpose_core.geometry.rotation import angles_from_matrix
from headpose_core.images.image_view import as_view
from headpose_core.learning.data.detected_boxes import DetectedFaces, yunet_detections
from headpose_core.learning.data.readers import open_faces
from headpose_core.types import FloatArray, Image
from tests.learning.official_layouts import write_biwi_camera, write_biwi_frame

K = np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
GREY = np.full((480, 640, 3), 90, np.uint8)


def about(axis: str, angle_deg: float) -> FloatArray:
    """Right-handed rotation about x, y or z, written out."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def write_one(root: Path, camera_R: FloatArray, head_R: FloatArray) -> None:
    """Sequence 01 with a frame whose head's centre is at (100, -50, 1000) mm."""
    write_biwi_camera(root / "01", K, camera_R, (-25.0, 5.0, -10.0))
    write_biwi_frame(root / "01", 3, head_R, (100.0, -50.0, 1000.0), GREY)


@pytest.mark.parametrize(
    ("axis", "angle", "expected"),
    [
        # A head that turns about the camera's y axis (down): its nose goes to the image's left.
        ("y", 30.0, (30.0, 0.0, 0.0)),
        # About x (right), nose down: the paper calls up positive.
        ("x", 20.0, (0.0, -20.0, 0.0)),
        # About z (forward): clockwise in the image.
        ("z", 10.0, (0.0, 0.0, 10.0)),
    ],
)
def test_single_turns_have_the_signs_of_the_paper(
    tmp_path: Path, axis: str, angle: float, expected: tuple[float, float, float]
) -> None:
    write_one(tmp_path, np.eye(3), about(axis, angle))
    faces = open_faces("biwi", tmp_path)
    np.testing.assert_allclose(faces[0].angles_deg, expected, atol=1e-3)
    assert faces[0].name == "01/frame_00003_rgb" and faces[0].image.shape == (480, 640, 3)


def test_the_order_of_the_turns_is_the_papers() -> None:
    """The same three numbers in BIWI's usual order are another pose; the matrix knows."""
    yaw, pitch, roll = 40.0, 25.0, 15.0
    opposite = about("z", roll) @ about("y", yaw) @ about("x", -pitch)
    same = about("x", -pitch) @ about("y", yaw) @ about("z", roll)
    np.testing.assert_allclose(angles_from_matrix(same), (yaw, pitch, roll), atol=1e-9)
    assert np.abs(angles_from_matrix(opposite) - (yaw, pitch, roll)).max() > 8.0


def test_the_pose_is_the_colour_cameras(tmp_path: Path) -> None:
    """A camera turned by 4 degrees to its right sees each head 4 degrees less to its left."""
    camera_R = about("y", -4.0)  # takes depth coordinates into those of the turned camera
    write_one(tmp_path, camera_R, about("y", 30.0))
    np.testing.assert_allclose(
        open_faces("biwi", tmp_path)[0].angles_deg, (26.0, 0.0, 0.0), atol=1e-3
    )
    head_R = about("z", 12.0) @ about("y", -35.0) @ about("x", 9.0)
    write_one(tmp_path, camera_R, head_R)
    R = camera_R @ head_R
    by_hand = np.degrees(
        [np.arcsin(R[0, 2]), np.arctan2(R[1, 2], R[2, 2]), np.arctan2(-R[0, 1], R[0, 0])]
    )
    np.testing.assert_allclose(open_faces("biwi", tmp_path)[0].angles_deg, by_hand, atol=1e-3)


def test_the_box_is_about_the_projected_face(tmp_path: Path) -> None:
    write_one(tmp_path, np.eye(3), np.eye(3))
    # The face is 70 mm in front of the centre: (100 - 25, -50 + 5, 1000 - 10 - 70) mm.
    u, v = 320 + 500 * 75 / 920, 240 + 500 * -45 / 920
    x1, y1, x2, y2 = open_faces("biwi", tmp_path)[0].box
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((u, v), abs=0.01)
    assert (x2 - x1, y2 - y1) == pytest.approx((500 * 150 / 920, 500 * 190 / 920), abs=0.01)
    # Seen by a camera that is turned by 90 degrees about its axis, x becomes y and y minus x.
    write_one(tmp_path, np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]), about("z", 90.0))
    u, v = 320 + 500 * (-50 - 25) / 920, 240 + 500 * (-100 + 5) / 920
    turned = open_faces("biwi", tmp_path)
    assert (turned.boxes[0, :2] + turned.boxes[0, 2:]) / 2 == pytest.approx((u, v), abs=0.01)
    np.testing.assert_allclose(turned.angles_deg, 0.0, atol=1e-3)
    # A head turned to the image's left has its face left of its centre.
    write_one(tmp_path, np.eye(3), about("y", 60.0))
    assert open_faces("biwi", tmp_path)[0].box[0] < x1 - 20


def test_a_face_that_looks_into_the_camera_has_no_angles(tmp_path: Path) -> None:
    # A head 300 mm to the right at 1 m, turned toward the camera: to the image's left, 16.7 deg.
    turn = np.degrees(np.arctan2(300, 1000))
    write_biwi_camera(tmp_path / "01", K, np.eye(3), (0.0, 0.0, 0.0))
    write_biwi_frame(tmp_path / "01", 3, about("y", turn), (300.0, 0.0, 1000.0), GREY)
    in_axes, about_ray = open_faces("biwi", tmp_path), open_faces("biwi-ray", tmp_path)
    np.testing.assert_allclose(in_axes.angles_deg[0], (turn, 0.0, 0.0), atol=1e-3)
    np.testing.assert_allclose(about_ray.angles_deg[0], 0.0, atol=1e-3)
    np.testing.assert_array_equal(in_axes.boxes, about_ray.boxes)


def test_the_labelled_one_of_two_detected_faces(tmp_path: Path, astronaut: Image) -> None:
    """The same photo twice in a frame; the head's centre in millimetres says which is meant."""
    face = astronaut[20:260, 120:360]
    frame = np.full((480, 640, 3), 90, np.uint8)
    frame[100:340, 20:260] = frame[140:380, 380:620] = face
    found = YuNet().detect(as_view(frame)).boxes
    assert len(found) == 2
    write_biwi_camera(tmp_path / "01", K, about("y", 3.0), (-25.0, 5.0, -10.0))
    for number, box in enumerate(found):
        u, v = (box[:2] + box[2:]) / 2
        z = 500 * 190 / (box[3] - box[1])  # a face is 190 mm high
        in_colour = np.array([(u - 320) * z / 500, (v - 240) * z / 500, z + 70])
        centre = about("y", 3.0).T @ (in_colour - (-25.0, 5.0, -10.0))
        head_R = about("y", 3.0).T  # straight ahead for the colour camera
        write_biwi_frame(tmp_path / "01", number, head_R, tuple(centre), frame)
    files = open_faces("biwi", tmp_path)
    np.testing.assert_allclose(files.angles_deg, 0.0, atol=1e-3)
    faces = DetectedFaces(files, yunet_detections(files.root), "leave out")
    np.testing.assert_allclose(faces.boxes, found, atol=1e-3)


def test_broken_files_are_named(tmp_path: Path) -> None:
    write_one(tmp_path, np.eye(3), np.eye(3))
    for number in (4, 5, 6, 7):
        write_biwi_frame(tmp_path / "01", number, np.eye(3), (0.0, 0.0, 900.0), GREY)
    folder = tmp_path / "01"
    (folder / "frame_00004_pose.txt").unlink()
    (folder / "frame_00005_pose.txt").write_text("0.9 0.1 nothing")
    (folder / "frame_00006_pose.txt").write_text("1 0 0 \n0 1 0 \n0 0 2 \n\n0 0 900 \n")
    (folder / "frame_00007_pose.txt").write_text("1 0 0 \n0 1 0 \n0 0 1 \n\n0 0 -900 \n")
    (folder / "frame_00008_pose.txt").write_text("1 0 0 \n0 1 0 \n0 0 1 \n\n0 0 900 \n")
    (tmp_path / "02").mkdir()
    (tmp_path / "02" / "rgb.cal").write_text("575.8 0 320")
    faces = open_faces("biwi", tmp_path)
    assert [faces.name(index) for index in range(len(faces))] == ["01/frame_00003_rgb"]
    said = {Path(one.where).name: one.reason for one in faces.report.omissions}
    assert said == {
        "frame_00004_rgb.png": "no label file beside the picture",
        "frame_00005_pose.txt": "not a file of numbers",
        "frame_00006_pose.txt": "the matrix is not a rotation",
        "frame_00007_pose.txt": "the head is behind the camera",
        "frame_00008_pose.txt": "no picture beside the label file",
        "rgb.cal": "not a camera calibration",
    }
