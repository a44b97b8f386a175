# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from headpose_core.learning.run.config import TrainConfig
from headpose_core.learning.run.distributed import Group, RunningStatistics, choose_device
from headpose_core.learning.run.schedule import ScheduleConfig, check_shares
from headpose_core.learning.run.trainer import train
from tests.learning.drawn_faces import write_shard
from tests.places import REPOSITORY
from training.command import parse

SETTINGS = """
    --backbone lite --width 8 --optimizer.lr 3e-3 --optimizer.ema-decay 0.9 --optimizer.clip-norm 5
    --schedule.epochs 2 --schedule.views-per-epoch 60 --schedule.batch-size 16
    --schedule.crop-sizes 0 48 0.5 112 --holdout-share 0.1 --threads 1 --device cpu
"""


def test_two_processes_end_with_the_weights_of_one(tmp_path: Path) -> None:
    write_shard(tmp_path / "faces", 0, 50)
    args = ["--data", str(tmp_path / "faces"), *SETTINGS.split()]

    def alone(name: str, *more: str) -> dict[str, torch.Tensor]:
        words = [*args, "--out", str(tmp_path / name), *more]
        return load_file(train(parse(TrainConfig, None, words)))

    launch = "-m torch.distributed.run --standalone --nproc-per-node=2 -m training.train_teacher"
    done = subprocess.run(
        [sys.executable, *launch.split(), *args, "--out", str(tmp_path / "two")],
        cwd=REPOSITORY,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    one = alone("one", "--schedule.accumulate", "2")
    two = load_file(tmp_path / "two" / "weights.safetensors")
    for name in one:  # running statistics and the average among them
        torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-6)
    # The parts matter, or the above would show nothing: normalisation is over each of them.
    whole = alone("whole")
    name = "classifiers.weight"
    assert not torch.allclose(whole[name], one[name], rtol=1e-3, atol=1e-4)
    # One of the two reports.
    assert done.stdout.count("epoch 1:") == 1
    assert len((tmp_path / "two" / "metrics.jsonl").read_text().splitlines()) == 2


def test_running_statistics_are_the_mean_over_the_parts() -> None:
    norm = nn.BatchNorm1d(2)
    parts = torch.randn(3, 8, 2) + torch.tensor([1.0, -2.0])
    statistics = RunningStatistics(norm, Group(), parts=3)
    for part in parts:
        norm(part)
        statistics.end_part()
    statistics.end_update()
    assert norm.running_mean is not None and norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, 0.1 * parts.mean(dim=(0, 1)))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * parts.var(dim=1).mean(dim=0))
    assert norm.num_batches_tracked == 1


def test_one_part_leaves_running_statistics_to_pytorch() -> None:
    norm, twin = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    values = torch.randn(8, 2)
    statistics = RunningStatistics(norm, Group(), parts=1)
    norm(values)
    statistics.end_part()
    statistics.end_update()
    twin(values)
    assert norm.running_mean is not None and twin.running_mean is not None
    assert torch.equal(norm.running_mean, twin.running_mean)


def test_a_batch_that_cannot_be_shared_out_is_refused() -> None:
    check_shares(ScheduleConfig(batch_size=64, accumulate=2), processes=4)
    with pytest.raises(ValueError, match="divides into 2 parts for each of 3 processes, got 64"):
        check_shares(ScheduleConfig(batch_size=64, accumulate=2), processes=3)
    with pytest.raises(ValueError, match="schedule in epochs"):
        check_shares(ScheduleConfig(batch_size=64, minutes=5.0), processes=2)


def test_a_cuda_device_that_is_not_there_is_named() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="CUDA devices here, got cuda:99"):
        choose_device("cuda:99")
