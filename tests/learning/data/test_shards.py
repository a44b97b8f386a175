# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headpose_core.geometry.rotation import matrix_from_angles
from headpose_core.learning.data.datasets import in_holdout
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.learning.data.shards import read_shard, turn_zero
from headpose_core.learning.data.skipped_faces import DataError
from headpose_core.learning.run.config import TrainConfig
from headpose_core.learning.run.run_state import TrainingState
from headpose_core.pose.networks.network import NetworkConfig
from tests.learning.drawn_faces import draw_face, write_shard


def test_faces_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, 5)
    shards = FacePool([tmp_path])
    assert shards.rescan() == 5 and len(shards) == 5
    face = shards[3]
    rng = np.random.default_rng(3)
    angles = rng.uniform((-60, -30, -30), (60, 30, 30))
    np.testing.assert_allclose(face.angles_deg, angles, atol=1e-4)
    picture = draw_face(angles, int(rng.integers(0, 120)))
    assert np.abs(face.image.astype(float) - picture).mean() < 2.0
    with pytest.raises(IndexError):
        shards[5]


def test_new_shards_are_appended_and_old_faces_keep_their_index(tmp_path: Path) -> None:
    write_shard(tmp_path, 7, 4, first_seed=100)
    shards = FacePool([tmp_path])
    shards.rescan()
    before = shards[2].angles_deg
    write_shard(tmp_path, 1, 3, first_seed=200)
    (tmp_path / "shard-00009.npz.tmp").write_bytes(b"half a file")
    assert shards.rescan() == 3 and shards.rescan() == 0
    assert (shards[2].angles_deg == before).all()
    assert shards[4].name == "shard-00001/0"
    again = FacePool([tmp_path])
    again.add(shards.files)
    assert (again[6].angles_deg == shards[6].angles_deg).all()


def test_the_holdout_depends_on_the_seeds_alone(tmp_path: Path) -> None:
    write_shard(tmp_path / "a", 0, 60, first_seed=0)
    write_shard(tmp_path / "b", 0, 60, first_seed=60)
    first = FacePool([tmp_path / "a", tmp_path / "b"], holdout_share=0.2)
    second = FacePool([tmp_path / "b", tmp_path / "a"], holdout_share=0.2)
    first.rescan()
    second.rescan()

    def held(shards: FacePool) -> set[tuple[float, ...]]:
        return {tuple(shards[int(index)].angles_deg) for index in shards.holdout}

    assert held(first) == held(second) and held(first)
    assert not set(first.holdout) & set(first.training)
    assert len(first.holdout) + len(first.training) == 120


def test_views_of_a_person_are_never_split(tmp_path: Path) -> None:
    """Shards say whose face it is; older ones do not, and there each image is its own."""
    old = write_shard(tmp_path, 0, 200)
    write_shard(tmp_path, 1, 200, first_seed=200)
    persons = np.arange(200) // 4
    np.savez(old, **np.load(old), group=persons)
    pool = FacePool([tmp_path], holdout_share=0.3)
    pool.rescan()
    held = np.zeros(400, bool)
    held[pool.holdout] = True
    by_person = held[:200].reshape(50, 4)
    assert (by_person == by_person[:, :1]).all() and 5 < by_person[:, 0].sum() < 30
    assert (held[200:] == in_holdout(np.arange(200, 400), 0.3)).all()


def test_broken_shards_are_named(tmp_path: Path) -> None:
    path = write_shard(tmp_path, 0, 4)
    arrays = dict(np.load(path))
    np.savez(path, **{k: v for k, v in arrays.items() if k != "angles_deg"})
    with pytest.raises(ValueError, match=r"shard-00000.npz; \['angles_deg'\] missing"):
        read_shard(path)
    np.savez(path, **(arrays | {"box": arrays["box"][:2]}))
    with pytest.raises(ValueError, match="disagree about the number of faces"):
        read_shard(path)
    np.savez(path, **(arrays | {"jpeg": np.zeros_like(arrays["jpeg"])}))
    with pytest.raises(ValueError, match=r"face 1 of .* is not a JPEG"):
        read_shard(path).image(1)


def test_a_face_without_a_label_is_counted_and_left_out(tmp_path: Path) -> None:
    path = write_shard(tmp_path, 0, 4)
    arrays = dict(np.load(path))
    arrays["angles_deg"][1, 2] = np.nan
    np.savez(path, **arrays)
    shards = FacePool([tmp_path], holdout_share=0.0)
    shards.rescan()
    assert [shards[index].name for index in shards.training] == [
        "shard-00000/0",
        "shard-00000/2",
        "shard-00000/3",
    ]
    assert dict(shards.skipped) == {"label has no unique angles": 1}
    assert str(shards.report.omissions[0]).startswith(f"{path}, face 1: ")


def test_faces_that_the_detector_misses_can_be_left_out(tmp_path: Path) -> None:
    path = write_shard(tmp_path, 0, 4)
    arrays = dict(np.load(path))
    arrays["detected"][2] = False
    np.savez(path, **arrays)
    everything = FacePool([tmp_path], holdout_share=0.0)
    found = FacePool([tmp_path], holdout_share=0.0, detected_only=True)
    everything.rescan()
    found.rescan()
    assert everything.training.tolist() == [0, 1, 2, 3] and not everything.skipped
    assert [found[index].name[-1] for index in found.training] == ["0", "1", "3"]
    assert dict(found.skipped) == {"missed by the detector": 1}


def test_another_zero_pose_turns_labels_in_the_heads_frame(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, 20)
    plain = FacePool([tmp_path])
    turned = FacePool([tmp_path], zero_pose_deg=(0.0, 5.0, 0.0))
    plain.rescan()
    turned.rescan()
    Z = matrix_from_angles([0.0, 5.0, 0.0])
    for index in range(20):
        expected = matrix_from_angles(plain[index].angles_deg) @ Z
        np.testing.assert_allclose(matrix_from_angles(turned[index].angles_deg), expected)


def test_a_head_that_looks_away_keeps_no_label_after_a_turn() -> None:
    labels = np.array([[0.0, 10.0, 0.0], [92.0, 0.0, 0.0]])
    turned = turn_zero(labels, np.array([0.0, 5.0, 0.0]))
    np.testing.assert_allclose(turned[0], [0.0, 15.0, 0.0], atol=1e-9)
    assert np.isnan(turned[1]).all()
    assert turn_zero(labels, np.zeros(3)) is labels


def test_torn_pictures_and_shards_are_reported_or_refused(tmp_path: Path) -> None:
    path = write_shard(tmp_path, 0, 4)
    arrays = dict(np.load(path))
    arrays["jpeg"][arrays["offsets"][2] - 5 : arrays["offsets"][2] + 5] = 0  # end of 1, start of 2
    np.savez(path, **arrays)
    write_shard(tmp_path, 1, 3)
    (tmp_path / "shard-00002.npz").write_bytes((tmp_path / "shard-00001.npz").read_bytes()[:5000])
    pool = FacePool([tmp_path], holdout_share=0.0)
    assert pool.rescan() == 5 and pool.rescan() == 0
    assert [pool[index].name for index in (0, 1, 2)] == [
        "shard-00000/0",
        "shard-00000/3",
        "shard-00001/0",
    ]
    said = [str(one).removeprefix(f"{tmp_path}/") for one in pool.report.omissions if one.broken]
    assert said[:2] == [
        "shard-00000.npz, face 1: the picture is torn",
        "shard-00000.npz, face 2: the picture is torn",
    ]
    assert len(said) == 3 and "cannot be read as a shard" in said[2]
    with pytest.raises(DataError, match=r"shard-00000.npz, face 1: the picture is torn"):
        FacePool([tmp_path], on_error="refuse").rescan()


@pytest.mark.parametrize("what", ["labels", "missing"])
def test_a_run_does_not_go_on_with_other_faces(tmp_path: Path, what: str) -> None:
    path = write_shard(tmp_path / "data", 0, 4)
    write_shard(tmp_path / "data", 1, 4, first_seed=50)
    config = TrainConfig(
        data=(str(tmp_path / "data"),), out=tmp_path, network=NetworkConfig(width=8), device="cpu"
    )
    state = TrainingState(config)
    state.begin_epoch()
    state.save()
    assert len(TrainingState(config).faces) == 8
    arrays = dict(np.load(path))
    if what == "labels":
        np.savez(path, **{**arrays, "angles_deg": arrays["angles_deg"] + 1})
    else:
        path.unlink()
    with pytest.raises(ValueError, match=r"have changed in .*shard-00000.npz; restore them"):
        TrainingState(config)
    np.savez(path, **arrays)
    assert len(TrainingState(config).faces) == 8
