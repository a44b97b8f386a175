# SPDX-License-Identifier: Apache-2.0
"""Everything that a training run changes, and how it is saved and taken up again."""

from __future__ import annotations

import json
import time
from typing import Any, cast

import torch
from torch import nn

from headpose_core.crop import CROP_SIZE
from headpose_core.learning.checkpoint import load_checkpoint, save_checkpoint
from headpose_core.learning.config import TrainConfig, changed_settings, fingerprint, to_json
from headpose_core.learning.datasets import plain_views
from headpose_core.learning.network import HeadPoseNet, load_weights, save_weights
from headpose_core.learning.optimizer import make_average, make_optimizer
from headpose_core.learning.restore import restore_network
from headpose_core.learning.schedule import crop_size
from headpose_core.learning.shards import RenderedShards
from headpose_core.learning.widen import widen

CHECKPOINT, WEIGHTS = "checkpoint.pt", "weights.safetensors"
# Enough for the statistics of every channel.
CALIBRATION_FACES = 256
_COUNTERS = ("epoch", "views", "elapsed_s", "epoch_start", "crop_size")


def choose_device(name: str) -> torch.device:
    """Device of that name; `auto` is CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def initial_network(config: TrainConfig, faces: RenderedShards) -> HeadPoseNet:
    """A new network, or the one of `config.init`, made wider where the config asks for it."""
    if config.init is None:
        return HeadPoseNet(config.network)
    if config.init.suffix == ".onnx":
        faces.rescan()
        crops, _ = plain_views(faces, faces.training[:CALIBRATION_FACES], CROP_SIZE)
        network = restore_network(config.init, config.network.backbone, crops)
    else:
        network, _ = load_weights(config.init)
    return network if network.config == config.network else widen(network, config.network)


class TrainingState:
    """Network, optimizer, faces and counters of a run; new, or as the last checkpoint has them.

    epoch, epoch_start: its number, and the views before it. views: seen in the whole run.
    crop_size: of this epoch. elapsed_s: time in the run, over all its processes.
    Raises ValueError when the directory holds a run with other settings.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.device = choose_device(config.device)
        torch.manual_seed(config.seed)
        self.faces = RenderedShards(
            config.data,
            holdout_share=config.holdout_share,
            detected_only=config.detected_only,
            zero_pose_deg=config.zero_pose_deg,
        )
        checkpoint = load_checkpoint(config.out / CHECKPOINT)
        # A resumed run needs nothing of the file that it started from.
        start = HeadPoseNet(config.network) if checkpoint else initial_network(config, self.faces)
        self.network = start.to(self.device)
        # Convolutions run twice as fast in this layout, and crops come in it.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(config.optimizer, self.network)
        decay = config.optimizer.ema_decay
        self.average = make_average(self.network, decay) if decay else None
        self.epoch, self.epoch_start, self.views = 0, 0, 0
        self.crop_size = crop_size(config.schedule, 0.0)
        self.elapsed_s = 0.0
        if checkpoint:
            self._resume(checkpoint)
        self._clock = time.monotonic() - self.elapsed_s
        self._saved_s = self.elapsed_s

    @property
    def progress(self) -> float:
        """Share of the schedule that is done: of its epochs, or of its minutes."""
        schedule = self.config.schedule
        if schedule.minutes:
            return self.elapsed_s / (60 * schedule.minutes)
        per_epoch = schedule.views_per_epoch or len(self.faces.training)
        done = (self.views - self.epoch_start) / per_epoch if per_epoch else 0.0
        return (self.epoch + done) / schedule.epochs

    @property
    def result(self) -> HeadPoseNet:
        """The network that the run is for: the averaged one if there is one."""
        return cast(HeadPoseNet, self.average.module) if self.average else self.network

    def begin_epoch(self) -> None:
        """Look for new faces and set the crop size, unless in the middle of an epoch."""
        if self.views == self.epoch_start:
            self.faces.rescan()
            self.crop_size = crop_size(self.config.schedule, self.progress)
        if not len(self.faces.training):
            folders = ", ".join(map(str, self.config.data))
            raise FileNotFoundError(f"expected shard-*.npz with faces in {folders}")

    def end_epoch(self) -> None:
        """Count the epoch."""
        self.epoch, self.epoch_start = self.epoch + 1, self.views

    def tick(self) -> float:
        """Seconds since the last tick, which become part of `elapsed_s`."""
        before, self.elapsed_s = self.elapsed_s, time.monotonic() - self._clock
        return self.elapsed_s - before

    def save_if_due(self) -> None:
        """Save when the last checkpoint is old enough."""
        if self.elapsed_s - self._saved_s > 60 * self.config.checkpoint_minutes:
            self.save()

    def save(self) -> None:
        """Write the checkpoint and the weights so far."""
        checkpoint = {
            "config": json.dumps(to_json(self.config)),
            "files": self.faces.files,
            **{name: getattr(self, name) for name in _COUNTERS},
            **{name: part.state_dict() for name, part in self._parts().items()},
        }
        save_checkpoint(self.config.out / CHECKPOINT, checkpoint)
        notes = {"training": fingerprint(self.config), "views": str(self.views)}
        save_weights(self.config.out / WEIGHTS, self.result, notes)
        self._saved_s = self.elapsed_s

    def _resume(self, checkpoint: dict[str, Any]) -> None:
        changed = changed_settings(json.loads(checkpoint["config"]), self.config)
        if changed:
            raise ValueError(
                f"{self.config.out} holds a run with other settings of: {', '.join(changed)}; "
                "repeat its command to resume it, or choose another --out"
            )
        self.faces.add(checkpoint["files"])
        for name in _COUNTERS:
            setattr(self, name, checkpoint[name])
        for name, part in self._parts().items():
            part.load_state_dict(checkpoint[name])

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        parts: dict[str, nn.Module | torch.optim.Optimizer] = {
            "network": self.network,
            "optimizer": self.optimizer,
        }
        return parts | {"average": self.average} if self.average else parts
