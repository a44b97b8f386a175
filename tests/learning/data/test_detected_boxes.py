# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from headpose_core.faces.detection import GivenBoxes
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_files import write_image
from headpose_core.images.image_view import ImageView, as_view
from headpose_core.learning.data.datasets import in_holdout
from headpose_core.learning.data.detected_boxes import (
    DetectedFaces,
    Detections,
    labelled_one,
    yunet_detections,
)
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.learning.data.readers import open_faces
from headpose_core.learning.data.skipped_faces import DataError
from headpose_core.types import Faces, Image
from tests.learning.drawn_faces import write_shard


class CountingYuNet(YuNet):
    """The real detector, which counts its images."""

    images = 0

    def detect(self, view: ImageView) -> Faces:
        self.images += 1
        return super().detect(view)


@pytest.fixture
def table(tmp_path: Path, astronaut: Image) -> Path:
    """A face that is found, one whose label is elsewhere, a grey picture, and no picture."""
    face = np.ascontiguousarray(astronaut[:300])
    write_image(tmp_path / "face.png", face)
    write_image(tmp_path / "grey.png", np.full_like(face, 128))
    (tmp_path / "torn.jpg").write_bytes(b"not a picture")
    lines = ["path,x1,y1,x2,y2,yaw,pitch,roll"]
    lines += ["face.png,175,70,275,190,10,0,0", "face.png,10,200,60,260,20,0,0"]
    lines += ["grey.png,175,70,275,190,30,0,0", "torn.jpg,175,70,275,190,40,0,0"]
    path = tmp_path / "faces.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_training_learns_from_the_detectors_boxes(table: Path, astronaut: Image) -> None:
    faces = DetectedFaces(open_faces("csv", table), yunet_detections(table.parent), "leave out")
    assert faces.angles_deg[:, 0].tolist() == [10.0] and faces.missed == 2
    assert dict(faces.skipped) == {
        "missed by the detector": 2,
        "the picture cannot be read": 1,
    }
    (found,) = YuNet().detect(as_view(np.ascontiguousarray(astronaut[:300]))).boxes
    np.testing.assert_allclose(faces[0].box, found, atol=1e-3)
    np.testing.assert_allclose(faces.boxes, [found], atol=1e-3)
    assert faces[0].detected and faces[0].name == "face"


def test_evaluation_keeps_a_missed_face_with_its_labelled_box(table: Path) -> None:
    faces = DetectedFaces(open_faces("csv", table), yunet_detections(table.parent), "labelled box")
    assert [faces[index].detected for index in range(3)] == [True, False, False]
    assert faces.detected.tolist() == [True, False, False] and faces.missed == 2
    assert faces[1].box.tolist() == [10, 200, 60, 260]
    with pytest.raises(DataError, match=r"torn.jpg: the picture cannot be read"):
        DetectedFaces(
            open_faces("csv", table, "refuse"), yunet_detections(table.parent), "labelled box"
        )


def test_a_picture_is_looked_at_once(table: Path) -> None:
    def detections(detector_id: str = "one") -> tuple[CountingYuNet, Detections]:
        yunet = CountingYuNet()
        return yunet, Detections(table.parent, yunet, detector_id)

    yunet, first = detections()
    before = [first.of(table.parent / name) for name in ("face.png", "grey.png", "face.png")]
    assert yunet.images == 2 and len(before[0]) == 1 and len(before[1]) == 0
    first.save()
    assert first.path.parent == table.parent
    yunet, again = detections()
    np.testing.assert_array_equal(again.of(table.parent / "face.png"), before[0])
    assert yunet.images == 0
    # Another detector, or another picture under the same name, is looked at anew.
    yunet, other = detections("another")
    other.of(table.parent / "face.png")
    assert yunet.images == 1 and other.path != first.path
    write_image(table.parent / "grey.png", np.full((64, 64, 3), 9, np.uint8))
    yunet, changed = detections()
    changed.of(table.parent / "grey.png")
    assert yunet.images == 1


def test_a_torn_cache_is_made_anew(table: Path) -> None:
    path = yunet_detections(table.parent).path
    path.write_text('{"files": {"face.png"')
    faces = DetectedFaces(open_faces("csv", table), yunet_detections(table.parent), "leave out")
    assert len(faces) == 1
    assert set(json.loads(path.read_text())["files"]) == {"face.png", "grey.png"}


def test_boxes_of_a_read_only_folder_are_in_the_users_cache(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "read only"
    folder.mkdir()
    (table.parent / "face.png").rename(folder / "face.png")
    folder.chmod(0o555)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    detections = yunet_detections(folder)
    detections.of(folder / "face.png")
    detections.save()
    assert detections.path.is_file() and detections.path.is_relative_to(tmp_path / "cache")
    mode = (tmp_path / "cache" / "headpose").stat().st_mode
    assert mode & 0o777 == 0o700  # else TensorRT's engines could not be kept there
    assert [path.name for path in folder.iterdir()] == ["face.png"]
    folder.chmod(0o755)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([[0, 0, 290, 290], [104, 96, 160, 150], [100, 100, 150, 150]], [100, 100, 150, 150]),
        ([[0, 0, 290, 290], [130, 100, 180, 150]], None),
        ([], None),
    ],
)
def test_only_the_labelled_face_counts(
    found: list[list[float]], expected: list[float] | None
) -> None:
    label = np.array([100, 100, 152, 150], np.float32)
    best = labelled_one(np.array(found, np.float32).reshape(-1, 4), label, 0.4)
    assert (None if best is None else best.tolist()) == expected


def test_a_pool_of_rendered_and_real_faces(table: Path, tmp_path: Path) -> None:
    write_shard(tmp_path / "shards", 0, 10)
    sources = [f"rendered:{tmp_path / 'shards'}", f"csv:{table}"]
    pool = FacePool(sources, holdout_share=0.0, zero_pose_deg=(0.0, 5.0, 0.0))
    assert pool.rescan() == 11 and pool.rescan() == 0
    assert len(pool.training) == 11 and pool[10].name == "face"
    # Rendered labels are turned, those of the table are what they are.
    assert pool.angles_deg[10].tolist() == [10.0, 0.0, 0.0] == pool[10].angles_deg.tolist()
    assert pool.skipped["missed by the detector"] == 2
    write_shard(tmp_path / "shards", 1, 5, first_seed=50)
    assert pool.rescan() == 5 and pool[10].name == "face" and len(pool.fingerprints) == 3
    again = FacePool(sources, holdout_share=0.0, zero_pose_deg=(0.0, 5.0, 0.0))
    again.add(pool.files)
    assert (again.angles_deg == pool.angles_deg).all() and again.rescan() == 0
    assert again.fingerprints == pool.fingerprints


def test_a_fingerprint_follows_labels_and_boxes(table: Path) -> None:
    def fingerprint() -> str:
        pool = FacePool([f"csv:{table}"])
        pool.rescan()
        return pool.fingerprints[f"csv:{table}"]

    before = fingerprint()
    assert fingerprint() == before
    table.write_text(table.read_text().replace(",10,0,0", ",11,0,0"))
    assert fingerprint() != before


def test_a_group_is_never_split(tmp_path: Path) -> None:
    lines = ["path,x1,y1,x2,y2,yaw,pitch,roll,group"]
    for number in range(60):
        write_image(tmp_path / f"{number}.png", np.full((40, 40, 3), number, np.uint8))
        lines.append(f"{number}.png,5,5,35,35,0,0,0,person {number // 6}")
    (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
    files = open_faces("csv", tmp_path / "faces.csv")
    given = Detections(tmp_path, GivenBoxes([[5, 5, 35, 35]]), "given")
    faces = DetectedFaces(files, given, "leave out")
    held = in_holdout(faces.groups, 0.4)
    assert 0 < held.sum() < 60
    for person in range(10):
        assert len(set(held[6 * person : 6 * person + 6])) == 1


@pytest.mark.parametrize(("kind", "step"), [("aflw2000", 25), ("pointing04", 26)])
def test_real_faces_through_the_real_detector(
    shared_dir: Path, tmp_path: Path, kind: str, step: int
) -> None:
    faces = open_faces(kind, shared_dir / "data" / kind)
    some = faces.only(np.arange(0, len(faces), step))
    found = DetectedFaces(some, yunet_detections(some.root, tmp_path), "labelled box")
    assert len(found) == 40 and found.missed <= 2
    assert found[7].name == faces[7 * step].name
    assert [path.name for path in tmp_path.iterdir()] == [
        yunet_detections(some.root, tmp_path).path.name
    ]
