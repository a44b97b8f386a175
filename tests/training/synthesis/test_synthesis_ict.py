# SPDX-License-Identifier: Apache-2.0
"""The scanned faces of ICT-FaceKit on MakeHuman's head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("scipy")

from scipy.spatial import cKDTree

from training.synthesis.assets import AssetError
from training.synthesis.ict import UPPER_FACE, read_ict, similarity

if TYPE_CHECKING:
    from training.synthesis.ict import ScanModel
    from training.synthesis.library import HeadLibrary


@pytest.fixture(scope="module")
def scan(head_assets: Path) -> ScanModel:
    model = read_ict(head_assets)
    if model is None:
        pytest.skip(f"needs ICT-FaceKit under {head_assets}")
    return model


@pytest.fixture(scope="module")
def library(head_assets: Path, scan: ScanModel) -> HeadLibrary:
    from training.synthesis.library import load_library

    return load_library(head_assets)


def _laid_scan(library: HeadLibrary, scan: ScanModel, head: np.ndarray) -> np.ndarray:
    marks = head[library.landmarks[UPPER_FACE]]
    scale, rotation, shift = similarity(scan.mean[scan.landmarks[UPPER_FACE]], marks)
    return scale * scan.mean @ rotation.T + shift


def test_the_mean_target_lays_the_head_on_the_scans(library: HeadLibrary, scan: ScanModel) -> None:
    head = library.morph({"scan/mean": 1.0}, library.base)
    surface = _laid_scan(library, scan, head)
    marks = np.linalg.norm(head[library.landmarks] - surface[scan.landmarks], axis=1)
    assert marks[UPPER_FACE].max() < 0.03  # dm
    skin = head[np.unique(library.body.vertex_of)]
    face = skin[(skin[:, 1] > head[library.landmarks[8], 1]) & (skin[:, 2] > 0.5)]
    far = cKDTree(surface).query(face)[0]
    assert np.quantile(far, 0.75) < 0.03  # the others are inside mouth, nose and eye sockets


def test_the_mean_face_keeps_the_zero_pose(library: HeadLibrary) -> None:
    before = library.base[library.landmarks[UPPER_FACE]]
    after = library.morph({"scan/mean": 1.0}, library.base)[library.landmarks[UPPER_FACE]]
    _, rotation, _ = similarity(after, before)
    yaw = np.degrees(np.arcsin(rotation[0, 2]))
    roll = np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0]))
    assert abs(yaw) < 0.5 and abs(roll) < 0.5


def test_no_identity_turns_the_head(library: HeadLibrary) -> None:
    mean = library.morph({"scan/mean": 1.0}, library.base)
    names = sorted(name for name in library.target_names if name.startswith("scan/0"))
    rng = np.random.default_rng(0)
    for _ in range(5):
        face = library.morph({name: float(rng.normal()) for name in names}, mean)
        moved = np.linalg.norm(face - mean, axis=1)
        assert moved.max() > 0.05  # another face it is
        _, rotation, _ = similarity(mean[library.landmarks], face[library.landmarks])
        turn = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
        assert turn < 0.5


def test_half_of_the_people_have_a_scanned_face(library: HeadLibrary) -> None:
    from training.synthesis.person import sample_person

    people = [sample_person(np.random.default_rng(k), library) for k in range(200)]
    scanned = [person for person in people if "scan/mean" in person.weights]
    assert 70 < len(scanned) < 130
    assert all(person.age != "child" for person in scanned)
    assert not any(name.startswith("macro/") for p in scanned for name in p.weights)


def test_the_repository_s_own_layout_is_read(tmp_path: Path, scan: ScanModel) -> None:
    folder = tmp_path / "ICT-FaceKit" / "FaceXModel"
    folder.mkdir(parents=True)
    mode = scan.modes[0] * 2
    _write_obj(folder / "generic_neutral_mesh.obj", scan.mean)
    _write_obj(folder / "identity000.obj", scan.mean + mode)
    indices = {"idx_to_landmark_verts": scan.landmarks.tolist()}
    (folder / "vertex_indices.json").write_text(json.dumps(indices))
    found = read_ict(tmp_path)
    assert found is not None
    np.testing.assert_allclose(found.mean, scan.mean, atol=1e-5)
    np.testing.assert_allclose(found.modes, mode[None], atol=1e-4)
    np.testing.assert_array_equal(found.landmarks, scan.landmarks)


def test_a_folder_without_identities_is_named(tmp_path: Path, scan: ScanModel) -> None:
    folder = tmp_path / "FaceXModel"
    folder.mkdir()
    _write_obj(folder / "generic_neutral_mesh.obj", scan.mean)
    (folder / "vertex_indices.json").write_text("{}")
    with pytest.raises(AssetError, match=r"expected identity\*\.obj"):
        read_ict(tmp_path)


def test_without_the_scans_all_faces_are_makehumans(tmp_path: Path) -> None:
    assert read_ict(tmp_path) is None


def _write_obj(path: Path, vertices: np.ndarray) -> None:
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
    path.write_text("\n".join([*lines, "vt 0 0", "f 1/1 2/1 3/1", ""]))
