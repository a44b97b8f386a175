# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from headpose_core.image import write_image
from headpose_core.learning.datasets import Aflw2000, Pointing04, Subset
from tests.learning.drawn_faces import draw_face


def write_aflw(folder: Path, name: str, angles_deg: tuple[float, float, float]) -> None:
    """A picture and its label file, as AFLW2000-3D has them."""
    yaw, pitch, roll = np.radians(angles_deg)
    points = np.linspace([40.0, 30.0, -5.0], [120.0, 130.0, 60.0], 68).T
    write_image(folder / f"{name}.jpg", draw_face(np.array(angles_deg)))
    pose = np.array([[pitch, yaw, roll, 10.0, 20.0, 0.0, 1e-3]], np.float32)
    savemat(folder / f"{name}.mat", {"Pose_Para": pose, "pt3d_68": points})


def test_aflw2000_in_its_official_format(tmp_path: Path) -> None:
    write_aflw(tmp_path, "image00002", (20.0, -10.0, 5.0))
    write_aflw(tmp_path, "image00006", (30.0, 120.0, 5.0))
    faces = Aflw2000(tmp_path)
    assert len(faces) == 1 and dict(faces.skipped) == {"angle beyond 99 degrees": 1}
    face = faces[0]
    assert face.name == "image00002" and face.image.shape == (152, 152, 3)
    np.testing.assert_allclose(face.angles_deg, (20.0, -10.0, 5.0), atol=1e-4)
    np.testing.assert_allclose(face.box, (40, 30, 120, 130))
    red = face.image[..., 0].astype(int) - face.image[..., 2]
    assert red.max() > 150, "the nose is red: the channels must be in the order RGB"


def test_a_label_file_without_a_pose_is_named(tmp_path: Path) -> None:
    savemat(tmp_path / "image00002.mat", {"pt3d_68": np.zeros((3, 68))})
    with pytest.raises(ValueError, match=r"image00002.mat; \['Pose_Para'\] missing"):
        Aflw2000(tmp_path)
    with pytest.raises(FileNotFoundError, match="AFLW2000"):
        Aflw2000(tmp_path / "nothing")


def test_the_real_aflw2000(shared_dir: Path) -> None:
    faces = Aflw2000(shared_dir / "data" / "aflw2000")
    assert len(faces) + faces.skipped.total() == 1000
    turned_to_image_left = [faces[index] for index in range(40) if faces[index].angles_deg[0] > 40]
    assert turned_to_image_left
    for face in turned_to_image_left:
        assert face.image.shape == (450, 450, 3)
        assert (face.box[2:] > face.box[:2]).all()


def test_pointing04_in_its_own_format(tmp_path: Path) -> None:
    person = tmp_path / "Person01"
    person.mkdir()
    for name in ("person01258+15-30", "person01100-60+90"):
        write_image(person / f"{name}.jpg", draw_face(np.zeros(3)))
        (person / f"{name}.txt").write_text(f"{name}.jpg\n\nFace\n80\n70\n40\n60\n")
    faces = Pointing04(tmp_path)
    assert len(faces) == 1 and dict(faces.skipped) == {"pan beyond 60 degrees": 1}
    assert faces[0].angles_deg[:2].tolist() == [-30.0, 15.0]
    assert np.isnan(faces[0].angles_deg[2])
    assert faces[0].box.tolist() == [60.0, 40.0, 100.0, 100.0]


def test_a_picture_with_an_unreadable_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Person01").mkdir()
    write_image(tmp_path / "Person01" / "person01front.jpg", draw_face(np.zeros(3)))
    with pytest.raises(ValueError, match="tilt and pan"):
        Pointing04(tmp_path)


def test_a_subset_keeps_the_given_order(tmp_path: Path) -> None:
    for number, yaw in enumerate((0.0, 10.0, 20.0)):
        write_aflw(tmp_path, f"image{number}", (yaw, 0.0, 0.0))
    some = Subset(Aflw2000(tmp_path), np.array([2, 0]))
    assert [some[index].name for index in range(len(some))] == ["image2", "image0"]
