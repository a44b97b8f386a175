# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from headpose_core.learning.data.augment import plain_view
from headpose_core.learning.export.model_export import export_model
from headpose_core.learning.run import trainer
from headpose_core.learning.run.checkpoint import load_checkpoint
from headpose_core.learning.run.config import TrainConfig, to_json
from headpose_core.learning.run.journal import EpochSums, measure_holdout
from headpose_core.learning.run.losses import HardLossConfig, mirror_divergence
from headpose_core.learning.run.optimizer import OptimizerConfig
from headpose_core.learning.run.run_state import WEIGHTS, TrainingState
from headpose_core.learning.run.schedule import ScheduleConfig
from headpose_core.learning.run.trainer import Batch, train, train_epoch
from headpose_core.pose.networks.network import (
    HeadPoseNet,
    NetworkConfig,
    load_weights,
    save_weights,
)
from tests.learning.drawn_faces import draw_face, write_shard
from tests.places import REPOSITORY
from tests.tiny_models import METADATA


def small_run(data: Path, out: Path, **changes: Any) -> TrainConfig:
    """A run of seconds: 8 channels, 3 epochs of 8 batches, smaller crops at first."""
    sizes = ((0.0, 48), (0.6, 112))
    plain = TrainConfig(
        data=(str(data),),
        out=out,
        network=NetworkConfig(width=8),
        optimizer=OptimizerConfig(lr=3e-3, clip_norm=5.0, ema_decay=0.9),
        schedule=ScheduleConfig(epochs=3, views_per_epoch=128, batch_size=16, crop_sizes=sizes),
        holdout_share=0.1,
        threads=1,
        device="cpu",
    )
    return replace(plain, **changes)


def records(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards with 240 drawn faces."""
    folder = tmp_path_factory.mktemp("faces")
    write_shard(folder, 0, 120)
    write_shard(folder, 1, 120, first_seed=1000)
    return folder


def test_a_network_learns_to_read_drawn_faces(faces: Path, tmp_path: Path) -> None:
    schedule = ScheduleConfig(
        epochs=20, views_per_epoch=192, batch_size=32, crop_sizes=((0.0, 48), (0.99, 112))
    )
    train(small_run(faces, tmp_path, schedule=schedule))
    lines = records(tmp_path)
    start, end = lines[0]["holdout"], lines[-1]["holdout"]
    assert start["faces"] == end["faces"] > 10
    assert end["yaw"] < 0.7 * start["yaw"]
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]


def test_a_batch_has_first_views_of_all_faces_then_second_ones() -> None:
    crops = torch.arange(3 * 2 * 4 * 4 * 3, dtype=torch.uint8).reshape(3, 2, 4, 4, 3)
    labels = torch.arange(18.0).reshape(3, 2, 3)
    flat, angles = Batch(crops, labels).views()
    np.testing.assert_array_equal(flat, torch.cat([crops[:, 0], crops[:, 1]]))
    np.testing.assert_array_equal(angles, torch.cat([labels[:, 0], labels[:, 1]]))


def test_a_network_learns_to_agree_with_its_mirror_images(faces: Path, tmp_path: Path) -> None:
    schedule = ScheduleConfig(
        epochs=6, views_per_epoch=192, batch_size=32, crop_sizes=((0.0, 48), (0.99, 112))
    )
    apart = {}
    for weight in (0.0, 100.0):
        loss = HardLossConfig(mirror_weight=weight)
        run = tmp_path / f"{weight:.0f}"
        network, _ = load_weights(train(small_run(faces, run, schedule=schedule, loss=loss)))
        view = draw_face(np.array([25.0, 5.0, -8.0]))
        crop = torch.from_numpy(
            plain_view(view, np.array([20.0, 20.0, 132.0, 132.0], np.float32))
        )[None]
        with torch.inference_mode():
            both = network(torch.cat([crop, crop.flip(2)]))
        apart[weight] = mirror_divergence(both).item()
    assert apart[100.0] < 0.5 * apart[0.0]
    line = records(tmp_path / "100")[-1]
    parts = line["cross_entropy"] + 0.005 * line["squared_error"]
    assert line["loss"] == pytest.approx(parts + 100.0 * line["mirror_divergence"], rel=1e-4)


def test_what_a_run_leaves_behind(faces: Path, tmp_path: Path) -> None:
    weights = train(small_run(faces, tmp_path))
    names = {path.name for path in tmp_path.iterdir()}
    assert names - {"tensorboard"} == {
        "checkpoint.pt",
        "weights.safetensors",
        "metrics.jsonl",
        "config.json",
        "curves.png",
    }
    lines = records(tmp_path)
    assert [line["views"] for line in lines] == [128, 256, 384]
    assert [line["crop_size"] for line in lines] == [48, 48, 112]
    assert [line["progress"] for line in lines] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert lines[-1]["left_s"] == pytest.approx(0.0)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["network"]["width"] == 8 and saved["seed"] == 0
    assert load_file(weights)["classifiers.weight"].shape == (186, 64)


def test_faces_that_are_rendered_meanwhile_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    write_shard(data, 0, 60)

    render = iter(range(1, 99))

    def train_while_rendering(state: TrainingState) -> EpochSums:
        number = next(render)
        write_shard(data, number, 30, first_seed=1000 * number)
        return train_epoch(state)

    monkeypatch.setattr(trainer, "train_epoch", train_while_rendering)
    train(small_run(data, tmp_path / "run", holdout_share=0.0))
    assert [line["faces"] for line in records(tmp_path / "run")] == [60, 90, 120]


def test_other_settings_do_not_continue_a_run(faces: Path, tmp_path: Path) -> None:
    config = small_run(faces, tmp_path)
    before = load_file(train(config))
    with pytest.raises(
        ValueError, match=r"other settings of: optimizer\.clip_norm, .*optimizer\.lr, seed"
    ):
        train(replace(config, seed=1, optimizer=OptimizerConfig(lr=1e-5)))
    # These may change. The run is over, so its weights stay.
    after = load_file(train(replace(config, checkpoint_minutes=9.0, holdout_every=7)))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_workers_see_the_same_views(faces: Path, tmp_path: Path) -> None:
    """With workers in a process of its own: a suite that has loaded half a dozen runtimes is no
    place to fork in."""
    one = load_file(train(small_run(faces, tmp_path / "none", workers=0)))
    code = (
        "import pathlib, sys\n"
        "from headpose_core.learning.run.trainer import train\n"
        "from tests.learning.run.test_trainer import small_run\n"
        "faces, out = map(pathlib.Path, sys.argv[1:])\n"
        "train(small_run(faces, out, workers=2))\n"
    )
    command = [sys.executable, "-c", code, str(faces), str(tmp_path / "two")]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    two = load_file(tmp_path / "two" / WEIGHTS)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_batch(faces: Path, tmp_path: Path) -> None:
    network = HeadPoseNet(NetworkConfig(width=8))
    with torch.no_grad():
        network.classifiers.bias[5] = float("nan")
    save_weights(tmp_path / "broken.safetensors", network, {})
    config = small_run(faces, tmp_path / "run", init=tmp_path / "broken.safetensors")
    with pytest.raises(RuntimeError, match="not finite after 0 views"):
        train(config)
    batch = load_checkpoint(tmp_path / "run" / "diverged.pt")
    assert batch is not None and batch["crops"].shape == (16, 1, 48, 48, 3)
    assert batch["step"] == 0


def test_networks_that_pytorch_cannot_train_are_refused(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="width of 8 or more, got 7"):
        TrainingState(small_run(faces, tmp_path, network=NetworkConfig(width=7)))


def test_an_epoch_is_a_whole_number_of_batches(faces: Path, tmp_path: Path) -> None:
    schedule = ScheduleConfig(epochs=1, views_per_epoch=20, batch_size=16)
    train(small_run(faces, tmp_path, schedule=schedule))
    assert [line["views"] for line in records(tmp_path)] == [32]


def test_a_run_starts_from_given_weights_and_widens_them(faces: Path, tmp_path: Path) -> None:
    first = train(small_run(faces, tmp_path / "first"))
    wide = NetworkConfig(width=16)
    state = TrainingState(small_run(faces, tmp_path / "wide", init=first, network=wide))
    assert state.network.config == wide.completed()
    state.begin_epoch()
    start = measure_holdout(state.network, state.faces, state.faces.holdout, 112)
    end_of_first = records(tmp_path / "first")[-1]["holdout"]["mean"]
    assert start["mean"] == pytest.approx(end_of_first, abs=1e-3)


def test_a_run_starts_from_an_exported_model(faces: Path, tmp_path: Path) -> None:
    config = small_run(faces, tmp_path / "first")
    network, _ = load_weights(train(config))
    export_model(network, METADATA, tmp_path / "model.onnx")
    state = TrainingState(
        replace(config, out=tmp_path / "second", init=tmp_path / "model.onnx", seed=1)
    )
    start = measure_holdout(state.result, state.faces, state.faces.holdout, 112)
    end_of_first = records(tmp_path / "first")[-1]["holdout"]["mean"]
    assert start["mean"] == pytest.approx(end_of_first, abs=0.05)


def test_a_directory_without_shards_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"labelled faces in {tmp_path}"):
        train(small_run(tmp_path, tmp_path / "run"))


def test_a_schedule_in_minutes_ends_in_time(faces: Path, tmp_path: Path) -> None:
    schedule = ScheduleConfig(minutes=0.02, views_per_epoch=10**6, batch_size=16)
    train(small_run(faces, tmp_path, schedule=schedule))
    assert records(tmp_path)[-1]["progress"] == 1.0
    assert 0 < records(tmp_path)[-1]["views"] < 10**6


def test_weights_say_where_they_come_from(faces: Path, tmp_path: Path) -> None:
    config = small_run(faces, tmp_path, seed=3)
    _, notes = load_weights(train(config))
    assert json.loads(notes["config"]) == to_json(config)
    assert notes["seed"] == "3" and notes["views"] == "384" and notes["processes"] == "1"
    assert re.fullmatch(r"[0-9a-f]{40}\+?|unknown", notes["git_hash"])
    parts = json.loads(notes["data"])
    assert [Path(name).name for name in parts] == ["shard-00000.npz", "shard-00001.npz"]
    assert len(set(parts.values())) == 2
