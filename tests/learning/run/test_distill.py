# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from headpose_core.learning.run.config import DistillConfig
from headpose_core.learning.run.losses import DistillLossConfig
from headpose_core.learning.run.optimizer import OptimizerConfig
from headpose_core.learning.run.run_state import TrainingState
from headpose_core.learning.run.schedule import ScheduleConfig
from headpose_core.learning.run.teachers import CachedTeachers, Teachers
from headpose_core.learning.run.trainer import train, train_epoch
from headpose_core.pose.networks.network import (
    HeadPoseNet,
    NetworkConfig,
    load_weights,
    save_weights,
)
from tests.learning.drawn_faces import write_shard

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard with 48 drawn faces."""
    folder = tmp_path_factory.mktemp("faces")
    write_shard(folder, 0, 48)
    return folder


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Weights of two networks that nobody trained, which say different things."""
    folder = tmp_path_factory.mktemp("teachers")
    paths = []
    for seed in range(2):
        torch.manual_seed(seed)
        network = HeadPoseNet(NetworkConfig("lite", width=8))
        torch.nn.init.normal_(network.classifiers.bias, std=2.0)
        save_weights(folder / f"{seed}.safetensors", network, {})
        paths.append(folder / f"{seed}.safetensors")
    return tuple(paths)


def small_run(data: Path, out: Path, teachers: tuple[Path, ...], **changes: Any) -> DistillConfig:
    """A student of 8 channels, 2 epochs of 4 batches."""
    return replace(
        DistillConfig(
            data=(str(data),),
            out=out,
            teachers=teachers,
            network=NetworkConfig("lite", width=8),
            optimizer=OptimizerConfig(lr=3e-3),
            schedule=ScheduleConfig(epochs=2, views_per_epoch=64, batch_size=16),
            threads=1,
            device="cpu",
        ),
        **changes,
    )


def some_crops(count: int = 6) -> torch.Tensor:
    """Random crops (N, 48, 48, 3)."""
    return torch.randint(0, 256, (count, 48, 48, 3), dtype=torch.uint8)


def test_teachers_say_the_mean_of_their_softmax_outputs(teachers: tuple[Path, ...]) -> None:
    crops = some_crops()
    with torch.no_grad():
        each = [(load_weights(path)[0](crops) / 2.0).softmax(dim=-1) for path in teachers]
    said = Teachers(teachers, temperature=2.0, device=CPU)(crops)
    torch.testing.assert_close(said, (each[0] + each[1]) / 2)
    assert not said.requires_grad


def test_a_student_comes_to_say_what_the_teachers_say(
    faces: Path, tmp_path: Path, teachers: tuple[Path, ...]
) -> None:
    schedule = ScheduleConfig(
        epochs=6, views_per_epoch=128, batch_size=16, crop_sizes=((0.0, 48), (0.99, 112))
    )
    config = small_run(faces, tmp_path, teachers, schedule=schedule)
    student, notes = load_weights(train(config))
    crops = some_crops()
    wanted = Teachers(teachers, 1.0, CPU)(crops)
    with torch.no_grad():
        apart = (student(crops).softmax(-1) - wanted).abs().sum(-1).mean()
        before = (HeadPoseNet(config.network).eval()(crops).softmax(-1) - wanted).abs().sum(-1)
    # The labels have nothing to do with what these teachers say.
    assert apart < 0.5 * before.mean()
    assert "teachers" in notes["config"]


def test_labels_may_be_a_part_of_the_loss(
    faces: Path, tmp_path: Path, teachers: tuple[Path, ...]
) -> None:
    loss = DistillLossConfig(hard_weight=0.5)
    state = TrainingState(small_run(faces, tmp_path, teachers, loss=loss))
    state.begin_epoch()
    record = train_epoch(state).record()
    hard = record["cross_entropy"] + loss.hard.mse_weight * record["squared_error"]
    assert record["loss"] == pytest.approx(record["divergence"] + 0.5 * hard, rel=1e-5)


def test_a_cache_changes_nothing_but_who_is_asked(
    faces: Path, tmp_path: Path, teachers: tuple[Path, ...]
) -> None:
    schedule = ScheduleConfig(epochs=3, views_per_epoch=0, batch_size=16, views_per_face=1)
    config = small_run(faces, tmp_path / "cached", teachers, schedule=schedule)
    config = replace(config, holdout_share=0.0, teacher_cache=True)
    config.out.mkdir()
    state = TrainingState(config)
    cached = three_epochs(state)
    # 48 faces with one view each; three epochs ask for 144.
    assert isinstance(state.teachers, CachedTeachers)
    assert state.views == 144 and state.teachers.asked == 48
    fresh = three_epochs(TrainingState(replace(config, teacher_cache=False)))
    assert cached == pytest.approx(fresh, rel=0.01)  # float16 in the cache: close, not equal


def three_epochs(state: TrainingState) -> list[float]:
    """Train, and return the loss of each epoch."""
    losses = []
    for _ in range(3):
        state.begin_epoch()
        losses.append(train_epoch(state).record()["loss"])
        state.end_epoch()
    return losses


def test_a_cache_rounds_the_same_whether_it_was_found_or_not(
    tmp_path: Path, teachers: tuple[Path, ...]
) -> None:
    cache = CachedTeachers(teachers, 1.0, CPU, torch.float32, tmp_path / "cache")
    cache.reserve(40)
    crops, rows = some_crops(), np.array([5, 0, 39, 7, 8, 9])
    first = cache(crops, rows)
    assert cache.asked == 6
    again = CachedTeachers(teachers, 1.0, CPU, torch.float32, tmp_path / "cache")
    assert torch.equal(again(crops, rows), first) and again.asked == 0
    torch.testing.assert_close(first, Teachers(teachers, 1.0, CPU)(crops), rtol=0, atol=1e-3)
    again(crops[:2], np.array([20, 21]))  # the same pixels as another view
    assert again.asked == 2


def test_a_row_that_was_cut_short_is_asked_again(
    tmp_path: Path, teachers: tuple[Path, ...]
) -> None:
    path = tmp_path / "cache"
    cache = CachedTeachers(teachers, 1.0, CPU, torch.float32, path)
    cache.reserve(6)
    crops, rows = some_crops(), np.arange(6)
    first = cache(crops, rows)
    del cache
    data = bytearray(path.read_bytes())
    data[2 * 372 + 200 : 3 * 372] = bytes(172)  # the second half of row 2
    path.write_bytes(data)
    again = CachedTeachers(teachers, 1.0, CPU, torch.float32, path)
    torch.testing.assert_close(again(crops, rows), first, rtol=0, atol=1e-3)
    assert again.asked == 1


def test_a_new_run_forgets_the_cache_of_another(
    faces: Path, tmp_path: Path, teachers: tuple[Path, ...]
) -> None:
    schedule = ScheduleConfig(epochs=1, views_per_epoch=16, batch_size=16, views_per_face=2)
    config = small_run(faces, tmp_path, teachers, schedule=schedule, teacher_cache=True)
    (tmp_path / "teachers.cache").write_bytes(b"about other views")
    train(config)
    # 48 faces of which some are held out, two views each.
    assert (tmp_path / "teachers.cache").stat().st_size == 48 * 2 * 372


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    def config(**changes: Any) -> DistillConfig:
        return DistillConfig(data=("x",), out=tmp_path, **{"teachers": (Path("t"),), **changes})

    with pytest.raises(ValueError, match="one weights file or more"):
        config(teachers=())
    with pytest.raises(ValueError, match="views-per-face"):
        config(teacher_cache=True)
    sizes = ScheduleConfig(views_per_face=2, crop_sizes=((0.0, 64), (0.5, 112)))
    with pytest.raises(ValueError, match="one crop size"):
        config(teacher_cache=True, schedule=sizes)


def test_teachers_that_are_no_weights_are_named(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.safetensors"):
        TrainingState(small_run(faces, tmp_path, (tmp_path / "gone.safetensors",)))


def test_half_precision_trains_and_weights_stay_whole(
    faces: Path, tmp_path: Path, teachers: tuple[Path, ...]
) -> None:
    schedule = ScheduleConfig(epochs=1, views_per_epoch=16, batch_size=8)
    for precision in ("bfloat16", "float16"):
        config = small_run(faces, tmp_path / precision, teachers, schedule=schedule)
        weights = load_file(train(replace(config, precision=precision)))
        kinds = {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()}
        assert kinds == {torch.float32}
        whole = load_file(train(replace(config, out=tmp_path / f"not-{precision}")))
        name = "classifiers.weight"
        assert not torch.equal(weights[name], whole[name])
        torch.testing.assert_close(weights[name], whole[name], rtol=0, atol=0.05)
