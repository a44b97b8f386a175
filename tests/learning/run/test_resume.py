# SPDX-License-Identifier: Apache-2.0
"""Kills, torn files and full disks: what a run must come through."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from pickle import PicklingError

import pytest
import torch
from safetensors.torch import load_file

from headpose_core.learning.run.checkpoint import load_checkpoint, previous, save_checkpoint
from headpose_core.learning.run.config import DistillConfig, RunConfig, TrainConfig
from headpose_core.learning.run.trainer import train
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig, save_weights
from tests.learning.drawn_faces import write_shard
from tests.places import REPOSITORY
from training.command import parse

SETTINGS = """
    --backbone lite --width 8 --optimizer.lr 3e-3 --optimizer.clip-norm 5
    --optimizer.ema-decay 0.9 --schedule.epochs 2 --schedule.views-per-epoch 96
    --schedule.batch-size 8 --schedule.crop-sizes 0 48 0.5 112 --holdout-share 0.1
    --threads 1 --device cpu --checkpoint-minutes 0
"""


def start(module: str, args: list[str]) -> subprocess.Popen[bytes]:
    """A training run with a checkpoint before each of its 24 updates."""
    command = [sys.executable, "-m", module, *args]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)


def kill_at_random(process: subprocess.Popen[bytes], checkpoint: Path) -> str:
    """Kill a run after a random checkpoint and a random moment more; says when that was."""
    views = 8 * random.randrange(1, 20)
    pause_s = random.uniform(0.0, 0.05)
    while process.poll() is None:
        if checkpoint.exists():
            state = load_checkpoint(checkpoint)
            if state and state["views"] >= views:
                time.sleep(pause_s)
                process.send_signal(signal.SIGKILL)
                process.wait()
        time.sleep(0.005)
    assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed"
    return f"killed {1000 * pause_s:.0f} ms after the checkpoint at {views} views"


@pytest.mark.parametrize("kind", [TrainConfig, DistillConfig])
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(
    kind: type[RunConfig], tmp_path: Path
) -> None:
    write_shard(tmp_path / "faces", 0, 60)
    args = ["--data", str(tmp_path / "faces"), *SETTINGS.split()]
    module = "training.train_teacher"
    if kind is DistillConfig:
        module, teacher = "training.distill", tmp_path / "teacher.safetensors"
        save_weights(teacher, HeadPoseNet(NetworkConfig("lite", width=8)), {})
        args += ["--teachers", str(teacher), "--loss.hard-weight", "0.1"]
    unbroken = load_file(train(parse(kind, None, [*args, "--out", str(tmp_path / "unbroken")])))
    out = tmp_path / "killed"
    args += ["--out", str(out)]
    moment = kill_at_random(start(module, args), out / "checkpoint.pt")
    assert start(module, args).wait() == 0
    resumed = load_file(out / "weights.safetensors")
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken), moment
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["views"] for line in lines] == [96, 192], moment


def two_checkpoints(folder: Path) -> Path:
    """A checkpoint that says 2, and the one before it, that says 1."""
    path = folder / "checkpoint.pt"
    for number in (1, 2):
        save_checkpoint(path, {"views": number, "weights": torch.arange(1000)})
    return path


def test_the_checkpoint_before_is_kept(tmp_path: Path) -> None:
    path = two_checkpoints(tmp_path)
    state, before = load_checkpoint(path), load_checkpoint(previous(path))
    assert state is not None and state["views"] == 2
    assert before is not None and before["views"] == 1


@pytest.mark.parametrize("length", [0, 10, 4000, -20])
def test_a_torn_checkpoint_costs_one_and_not_all(
    tmp_path: Path, length: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = two_checkpoints(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    state = load_checkpoint(path)
    assert state is not None and state["views"] == 1
    assert "the checkpoint before" in capsys.readouterr().err
    # The torn one does not push out the good one when the run goes on.
    with pytest.raises((AttributeError, PicklingError)):
        save_checkpoint(path, {"views": 3, "cannot be pickled": lambda: None})
    state = load_checkpoint(path)
    assert state is not None and state["views"] == 1


def test_a_kill_between_two_files_costs_nothing(tmp_path: Path) -> None:
    path = two_checkpoints(tmp_path)
    path.replace(previous(path))  # as far as a save may have come
    state = load_checkpoint(path)
    assert state is not None and state["views"] == 2


def test_checkpoints_that_are_all_torn_are_named(tmp_path: Path) -> None:
    path = two_checkpoints(tmp_path)
    path.write_bytes(b"torn")
    previous(path).write_bytes(b"")
    with pytest.raises(ValueError, match=r"checkpoint\.pt.*checkpoint\.previous\.pt.*start anew"):
        load_checkpoint(path)


def test_a_directory_without_a_checkpoint_has_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "checkpoint.pt") is None


def test_a_checkpoint_that_cannot_be_pickled_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"views": 1})
    with pytest.raises((AttributeError, PicklingError)):
        save_checkpoint(path, {"views": 2, "cannot be pickled": lambda: None})
    assert load_checkpoint(path) == {"views": 1} and list(tmp_path.iterdir()) == [path]


FULL_DISK = """
import resource, sys, torch
from pathlib import Path
from headpose_core.learning.run.checkpoint import save_checkpoint
for room in (0, 5000, 400_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        save_checkpoint(Path(sys.argv[1]), {"views": 3, "weights": torch.zeros(10**5)})
    except OSError as error:
        print(error, flush=True)
"""


def test_a_full_disk_is_an_error_that_leaves_what_was_there(tmp_path: Path) -> None:
    path = two_checkpoints(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.count("File too large") == len(done.stdout.splitlines()) == 3
    state, before = load_checkpoint(path), load_checkpoint(previous(path))
    assert state is not None and state["views"] == 2
    assert before is not None and before["views"] == 1
    assert {file.name for file in tmp_path.iterdir()} == {path.name, previous(path).name}
