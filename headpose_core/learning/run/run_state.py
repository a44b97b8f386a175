# SPDX-License-Identifier: Apache-2.0
"""Everything that a training run changes, and how it is saved and taken up again."""

from __future__ import annotations

import json
import math
import time
from typing import Any, cast

import torch

from headpose_core.learning.run.checkpoint import load_checkpoint, save_checkpoint
from headpose_core.learning.run.config import RunConfig, changed_settings, to_json
from headpose_core.learning.run.distributed import Group, choose_device
from headpose_core.learning.run.initial_state import initial_network, open_pool, open_teachers
from headpose_core.learning.run.optimizer import make_average, make_optimizer
from headpose_core.learning.run.provenance import machine, notes
from headpose_core.learning.run.schedule import check_shares, crop_size, views_in_epoch
from headpose_core.learning.run.teachers import CachedTeachers
from headpose_core.pose.networks.network import HeadPoseNet, save_weights

CHECKPOINT, WEIGHTS = "checkpoint.pt", "weights.safetensors"
_COUNTERS = ("epoch", "views", "elapsed_s", "epoch_start", "crop_size", "holdout_mae")


class TrainingState:
    """Network, optimizer, faces and counters of a run; new, or as the last checkpoint has them.

    epoch, epoch_start: its number, and the views before it. views: seen in the whole run.
    crop_size: of this epoch. elapsed_s: time in the run, over all its processes.
    holdout_mae: last measured, in degrees.
    Raises ValueError when the directory holds a run with other settings.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.device = choose_device(config.device)
        self.group = Group.join(self.device)
        check_shares(config.schedule, self.group.size)
        torch.manual_seed(config.seed)
        self.faces = open_pool(config)
        checkpoint = load_checkpoint(config.out / CHECKPOINT)
        # A resumed run needs nothing of the file that it started from.
        start = HeadPoseNet(config.network) if checkpoint else initial_network(config, self.faces)
        # Convolutions run twice as fast in this layout, and crops come in it.
        self.network = start.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(config.optimizer, self.network)
        decay = config.optimizer.ema_decay
        self.average = make_average(self.network, decay) if decay else None
        # Gradients of float16 are scaled up, or the small ones would round to zero.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "float16")
        self.epoch, self.epoch_start, self.views = 0, 0, 0
        self.crop_size = crop_size(config.schedule, 0.0)
        self.elapsed_s, self.holdout_mae = 0.0, math.nan
        self.teachers = open_teachers(config, self.device)
        if checkpoint:
            self._resume(checkpoint)
        elif isinstance(self.teachers, CachedTeachers) and self.group.leads:
            self.teachers.forget()
        if self.group.from_leader(self.views) != self.views:
            raise ValueError(f"expected every process to see the same files in {config.out}")
        self.shared = self.group.wrap(self.network)
        self._machine = machine(self.device)
        self._clock = time.monotonic() - self.elapsed_s
        self._saved_s = self.elapsed_s

    @property
    def progress(self) -> float:
        """Share of the schedule that is done: of its epochs, or of its minutes."""
        schedule = self.config.schedule
        if schedule.minutes:
            return self.elapsed_s / (60 * schedule.minutes)
        per_epoch = views_in_epoch(schedule, len(self.faces.training))
        done = (self.views - self.epoch_start) / per_epoch if per_epoch else 0.0
        return (self.epoch + done) / schedule.epochs

    @property
    def left_s(self) -> float:
        """Seconds that the run will still take at its speed so far."""
        return self.elapsed_s * max(1.0 / max(self.progress, 1e-9) - 1.0, 0.0)

    @property
    def views_left_in_epoch(self) -> int:
        """Views of this epoch, over all processes, that are still to be seen."""
        per_epoch = views_in_epoch(self.config.schedule, len(self.faces.training))
        return per_epoch - (self.views - self.epoch_start)

    @property
    def result(self) -> HeadPoseNet:
        """The network that the run is for: the averaged one if there is one."""
        return cast(HeadPoseNet, self.average.module) if self.average else self.network

    def begin_epoch(self) -> None:
        """Look for new faces and set the crop size, unless in the middle of an epoch."""
        if self.views == self.epoch_start:
            # All processes take the files that the leader sees: more may appear meanwhile.
            known = len(self.faces.files)
            if self.group.leads:
                self.faces.rescan()
            new = self.group.from_leader(self.faces.files[known:])
            if not self.group.leads:
                self.faces.add(new)
            elif new and self.faces.skipped:
                print(f"{len(self.faces)} faces; {self.faces.report}", flush=True)
            self.crop_size = crop_size(self.config.schedule, self.progress)
        if not len(self.faces.training):
            folders = ", ".join(map(str, self.config.data))
            report = self.faces.report
            raise FileNotFoundError(f"expected labelled faces in {folders}; {report}")
        if isinstance(self.teachers, CachedTeachers):
            if self.group.leads:
                self.teachers.reserve(len(self.faces) * self.config.schedule.views_per_face)
            self.group.from_leader(None)  # the others wait for the file

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
        self._saved_s = self.elapsed_s
        if not self.group.leads:
            return
        checkpoint = {
            "config": json.dumps(to_json(self.config)),
            "files": self.faces.files,
            "fingerprints": self.faces.fingerprints,
            **{name: getattr(self, name) for name in _COUNTERS},
            **{name: part.state_dict() for name, part in self._parts().items()},
        }
        save_checkpoint(self.config.out / CHECKPOINT, checkpoint)
        save_weights(self.config.out / WEIGHTS, self.result, notes(self.config, self.origin()))

    def origin(self) -> dict[str, Any]:
        """Where the weights come from, as plain values."""
        return {
            "views": self.views,
            "faces": len(self.faces.training),
            "skipped": dict(self.faces.skipped),
            "data": self.faces.fingerprints,
            "processes": self.group.size,
            **self._machine,
        }

    def _resume(self, checkpoint: dict[str, Any]) -> None:
        changed = changed_settings(json.loads(checkpoint["config"]), self.config)
        if changed:
            raise ValueError(
                f"{self.config.out} holds a run with other settings of: {', '.join(changed)}; "
                "repeat its command to resume it, or choose another --out"
            )
        self.faces.add(checkpoint["files"])
        known = checkpoint.get("fingerprints", self.faces.fingerprints)
        altered = [name for name, value in self.faces.fingerprints.items() if known[name] != value]
        if altered:
            raise ValueError(
                f"expected the faces that {self.config.out} was trained on so far, but labels, "
                f"boxes or files have changed in {', '.join(altered)}; restore them, or choose "
                "another --out"
            )
        for name in _COUNTERS:
            setattr(self, name, checkpoint.get(name, getattr(self, name)))
        for name, part in self._parts().items():
            part.load_state_dict(checkpoint[name])

    def _parts(self) -> dict[str, Any]:
        """What has a state of its own, by its name in the checkpoint."""
        parts = {"network": self.network, "optimizer": self.optimizer}
        if self.scaler.is_enabled():
            parts["scaler"] = self.scaler
        return parts | {"average": self.average} if self.average else parts
