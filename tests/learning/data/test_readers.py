# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from headpose_core.images.image_files import read_image, write_image
from headpose_core.learning.data.readers import open_faces, split_source
from headpose_core.learning.data.skipped_faces import DataError
from tests.learning.drawn_faces import draw_face
from tests.learning.official_layouts import (
    LANDMARK_BOX,
    pose_para,
    write_300w_lp,
    write_aflw,
    write_pointing04,
)


def test_aflw2000_in_its_official_format(tmp_path: Path) -> None:
    write_aflw(tmp_path, "image00002", (20.0, -10.0, 5.0))
    write_aflw(tmp_path, "image00006", (30.0, 120.0, 5.0))
    faces = open_faces("aflw2000", tmp_path)
    assert len(faces) == 1 and dict(faces.skipped) == {"angle beyond 99 degrees": 1}
    assert faces.report.omissions[0].where == str(tmp_path / "image00006.mat")
    face = faces[0]
    assert face.name == "image00002" and face.image.shape == (152, 152, 3)
    np.testing.assert_allclose(face.angles_deg, (20.0, -10.0, 5.0), atol=1e-4)
    np.testing.assert_allclose(face.box, LANDMARK_BOX)
    assert not face.detected
    red = face.image[..., 0].astype(int) - face.image[..., 2]
    assert red.max() > 150, "the nose is red: the channels must be in the order RGB"


@pytest.mark.parametrize("kind", ["300w-lp", "300w-lpa"])
def test_300w_lp_with_its_flipped_half(tmp_path: Path, kind: str) -> None:
    for name in ("AFW_134212_1_0", "AFW_134212_1_3", "LFPW_image_train_0001_0"):
        write_300w_lp(tmp_path, name, (20.0, -10.0, 5.0))
    write_300w_lp(tmp_path, "HELEN_1002681492_1_10", (100.0, 0.0, 0.0))
    faces = open_faces(kind, tmp_path)
    # Landmark files beside the parts are no labels.
    assert len(faces) == 6 and dict(faces.skipped) == {"angle beyond 99 degrees": 2}
    by_name = {faces[index].name: faces[index] for index in range(6)}
    plain, flipped = by_name["AFW/AFW_134212_1_0"], by_name["AFW_Flip/AFW_134212_1_0"]
    np.testing.assert_allclose(plain.angles_deg, (20.0, -10.0, 5.0), atol=1e-4)
    np.testing.assert_allclose(flipped.angles_deg, (-20.0, -10.0, -5.0), atol=1e-4)
    np.testing.assert_allclose(plain.box, LANDMARK_BOX)
    # All that was made of one photo stays together.
    groups = dict(zip(map(faces.name, range(6)), faces.groups, strict=True))
    assert groups["AFW/AFW_134212_1_0"] == groups["AFW_Flip/AFW_134212_1_3"]
    assert len(set(groups.values())) == 2


def test_what_is_broken_is_named_and_counted(tmp_path: Path) -> None:
    write_aflw(tmp_path, "image00001", (0.0, 0.0, 0.0))
    (tmp_path / "image00002.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut short")
    savemat(tmp_path / "image00003.mat", {"pt3d_68": np.zeros((3, 68))})
    savemat(tmp_path / "image00004.mat", {"Pose_Para": pose_para((0.0, 0.0, 0.0))})
    for number in (2, 3, 4, 5):
        write_image(tmp_path / f"image0000{number}.jpg", draw_face(np.zeros(3)))
    write_aflw(tmp_path, "image00006", (float("nan"), 0.0, 0.0))
    (tmp_path / "image00007.mat").write_bytes((tmp_path / "image00001.mat").read_bytes())
    faces = open_faces("aflw2000", tmp_path)
    assert [faces.name(index) for index in range(len(faces))] == ["image00001"]
    said = {Path(one.where).name: one.reason for one in faces.report.omissions if one.broken}
    assert said == {
        "image00002.mat": "not a MATLAB 5 file",
        "image00003.mat": "no Pose_Para in the label file",
        "image00004.mat": "no 68 landmarks in the label file",
        "image00005.jpg": "no label file beside the picture",
        "image00006.mat": "the label is no angle",
        "image00007.mat": "no picture beside the label file",
    }
    with pytest.raises(DataError, match=r"image00005.jpg: no label file.*check_data"):
        open_faces("aflw2000", tmp_path, on_error="refuse")


@pytest.mark.parametrize("kind", ["300w-lp", "aflw2000", "biwi", "pointing04", "csv"])
def test_another_directory_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match=f"expected .*{tmp_path}|{tmp_path}.*expected"):
        open_faces(kind, tmp_path)
    with pytest.raises(DataError, match=r"expected a data set of 300w-lp, .*, got 'aflw'"):
        open_faces("aflw", tmp_path)


def test_pointing04_in_its_own_format(tmp_path: Path) -> None:
    for name in ("person01258+15-30", "person01100-60+90"):
        write_pointing04(tmp_path, name)
    faces = open_faces("pointing04", tmp_path)
    assert len(faces) == 1 and dict(faces.skipped) == {"pan beyond 60 degrees": 1}
    assert faces[0].angles_deg[:2].tolist() == [-30.0, 15.0]
    assert np.isnan(faces[0].angles_deg[2])
    assert faces[0].box.tolist() == [60.0, 40.0, 100.0, 100.0]


def test_pointing04_with_files_missing(tmp_path: Path) -> None:
    for name in ("person01101+0+0", "person01102+0+0", "person01103+0+0"):
        write_pointing04(tmp_path, name)
    (tmp_path / "Person01" / "person01101+0+0.txt").unlink()
    (tmp_path / "Person01" / "person01102+0+0.txt").write_text("person01102+0+0.jpg\n\nFace\n")
    write_image(tmp_path / "Person01" / "person01front.jpg", draw_face(np.zeros(3)))
    faces = open_faces("pointing04", tmp_path)
    assert len(faces) == 1
    assert dict(faces.skipped) == {
        "no label file beside the picture": 1,
        "no face box in the label file": 1,
        "no tilt and pan (+15-30) at the end of the name": 1,
    }


CSV = """path,x1,y1,x2,y2,note,yaw,pitch,roll,group
cabin/1.jpg,20,24,120,132,,-12.5,3,1.8,anna
cabin/2.jpg,20,24,120,132,blurred,10,-20,0,anna
cabin/1.jpg,1,2,3,4,,0,0,0,
cabin/9.jpg,20,24,120,132,,0,0,0,
cabin/1.jpg,20,24,120,132,,left,0,0,
cabin/1.jpg,20,24,20,132,,0,0,0,
cabin/1.jpg,20,24
"""


def test_peoples_own_data_in_a_table(tmp_path: Path) -> None:
    (tmp_path / "cabin").mkdir()
    for number in (1, 2):
        write_image(tmp_path / "cabin" / f"{number}.jpg", draw_face(np.zeros(3)))
    table = tmp_path / "faces.csv"
    table.write_text(CSV)
    faces = open_faces("csv", table)
    assert len(faces) == 3
    assert faces[0].name == "cabin/1" and faces[0].image.shape == (152, 152, 3)
    assert faces[0].box.tolist() == [20, 24, 120, 132]
    assert faces[0].angles_deg.tolist() == [-12.5, 3.0, 1.8]
    assert faces.groups[0] == faces.groups[1] != faces.groups[2]
    assert [(Path(one.where).name, one.reason) for one in faces.report.omissions] == [
        ("faces.csv, line 5", "no such picture"),
        ("faces.csv, line 6", "a number is missing"),
        ("faces.csv, line 7", "the labelled box is empty"),
        ("faces.csv, line 8", "a number is missing"),
    ]
    table.write_text(CSV.replace("yaw", "Yaw"))
    with pytest.raises(DataError, match=r"faces.csv: expected the columns \['yaw'\]"):
        open_faces("csv", table)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00pa\x00th", b"path,x1\n\x80,1\n", b""])
def test_a_table_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "faces.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"faces.csv: expected"):
        open_faces("csv", tmp_path / "faces.csv")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"Pose_Para": "none"}, "no Pose_Para in the label file"),
        ({"Pose_Para": np.array([[1.0, 2.0]])}, "no Pose_Para in the label file"),
        ({"Pose_Para": np.array([[1j, 0, 0]])}, "no Pose_Para in the label file"),
        ({"pt3d_68": np.zeros((3, 21))}, "no 68 landmarks in the label file"),
        ({"pt3d_68": np.zeros((3, 68))}, "the labelled box is empty"),
        ({"pt3d_68": np.full((3, 68), np.nan)}, "the labelled box is in no picture"),
        (
            {"pt3d_68": np.linspace(0, 1e9, 204).reshape(68, 3).T},
            "the labelled box is in no picture",
        ),
    ],
)
def test_labels_of_another_kind_are_named(
    tmp_path: Path, wrong: dict[str, object], reason: str
) -> None:
    write_aflw(tmp_path, "image00001", (0.0, 0.0, 0.0))
    points = np.linspace([40.0, 30.0, 0.0], [120.0, 130.0, 60.0], 68).T
    good = {"Pose_Para": pose_para((0.0, 0.0, 0.0)), "pt3d_68": points}
    savemat(tmp_path / "image00001.mat", {**good, **wrong})
    faces = open_faces("aflw2000", tmp_path)
    assert len(faces) == 0 and dict(faces.skipped) == {reason: 1}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.integers(0, 2000), place=st.integers(0, 2000), byte=st.integers(0, 255))
def test_a_damaged_label_is_reported_and_nothing_else_happens(
    tmp_path: Path, cut: int, place: int, byte: int
) -> None:
    write_aflw(tmp_path, "image00001", (10.0, 0.0, 0.0))
    data = bytearray((tmp_path / "image00001.mat").read_bytes())
    data[place % len(data)] = byte
    (tmp_path / "image00001.mat").write_bytes(data[: max(cut, 1)] if cut < 1500 else data)
    faces = open_faces("aflw2000", tmp_path)
    assert len(faces) + faces.skipped.total() == 1
    assert np.isfinite(faces.angles_deg).all() and np.isfinite(faces.boxes).all()


def test_a_source_is_a_kind_and_a_place(tmp_path: Path) -> None:
    assert split_source("300w-lp:/data/300W_LP") == ("300w-lp", Path("/data/300W_LP"))
    assert split_source("csv:faces.csv") == ("csv", Path("faces.csv"))
    assert split_source(tmp_path) == ("rendered", tmp_path)
    odd = tmp_path / "a:b"
    odd.mkdir()
    assert split_source(odd) == ("rendered", odd)
    expected = r"kind of rendered, packed, no-faces, 300w-lp.*got '300wlp:x'"
    with pytest.raises(DataError, match=expected):
        split_source("300wlp:x")


def test_the_real_aflw2000(shared_dir: Path) -> None:
    faces = open_faces("aflw2000", shared_dir / "data" / "aflw2000")
    assert len(faces) == 979 and dict(faces.skipped) == {"angle beyond 99 degrees": 21}
    turned = np.flatnonzero(faces.angles_deg[:, 0] > 40)
    assert len(turned) > 20
    assert faces[int(turned[0])].image.shape == (450, 450, 3)
    assert (faces.boxes[:, 2:] > faces.boxes[:, :2]).all()


def test_the_real_pointing04(shared_dir: Path) -> None:
    root = shared_dir / "data" / "pointing04"
    faces = open_faces("pointing04", root)
    assert not [one for one in faces.report.omissions if one.broken]
    assert len(faces) + faces.skipped.total() == len(list(root.glob("*/*.jpg")))
    assert len(set(faces.groups)) == 8
    assert read_image(faces.pictures[0]).shape == (288, 384, 3)
