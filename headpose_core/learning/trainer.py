# SPDX-License-Identifier: Apache-2.0
"""The training loop: plain PyTorch, resumed exactly by running the same command again.

Everything random depends on the seed and on how many views were seen, so that a run that was
killed and resumed ends with the weights of an unbroken one (on a CPU, with a schedule in epochs).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from headpose_core.learning.checkpoint import load_checkpoint, save_checkpoint, write_text
from headpose_core.learning.config import TrainConfig, changed_settings, fingerprint, to_json
from headpose_core.learning.datasets import ViewBatches
from headpose_core.learning.journal import EpochSums, MetricsLog, measure_holdout, summary_line
from headpose_core.learning.losses import expectation_deg, hard_loss
from headpose_core.learning.network import HeadPoseNet, load_weights, save_weights
from headpose_core.learning.optimizer import learning_rate, make_average, make_optimizer
from headpose_core.learning.schedule import crop_size, epoch_order
from headpose_core.learning.shards import RenderedShards
from headpose_core.learning.widen import widen

CHECKPOINT, WEIGHTS = "checkpoint.pt", "weights.safetensors"


def train(config: TrainConfig) -> Path:
    """Run, or resume, a training run; returns the path of its weights.

    Raises ValueError when `config.out` holds a run with other settings, and RuntimeError
    when the loss is not finite (the batch is saved beside the checkpoint).
    """
    trainer = Trainer(config)
    trainer.run()
    return config.out / WEIGHTS


def choose_device(name: str) -> torch.device:
    """Device of that name; `auto` is CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def initial_network(config: TrainConfig) -> HeadPoseNet:
    """A new network, or the one of `config.init`, made wider where the config asks for it."""
    if config.init is None:
        return HeadPoseNet(config.network)
    network, _ = load_weights(config.init)
    return network if network.config == config.network else widen(network, config.network)


class Trainer:
    """State of a run and the steps that change it."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.device = choose_device(config.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.faces = RenderedShards(config.data, config.holdout_share, config.detected_only)
        self.network = initial_network(config).to(self.device)
        # Convolutions run twice as fast in this layout, and crops come in it.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(config.optimizer, self.network)
        decay = config.optimizer.ema_decay
        self.average = make_average(self.network, decay) if decay else None
        self.epoch, self.views, self.elapsed_s = 0, 0, 0.0
        self.epoch_start, self.crop_size = 0, crop_size(config.schedule, 0.0)
        config.out.mkdir(parents=True, exist_ok=True)
        self._resume()
        text = json.dumps(to_json(config), indent=2) + "\n"
        write_text(config.out / "config.json", text)
        self.log = MetricsLog(config.out / "metrics.jsonl", self.views)

    def run(self) -> None:
        """Epoch after epoch until the schedule ends."""
        self._clock = time.monotonic() - self.elapsed_s
        self._last_checkpoint = self.elapsed_s
        while self.progress < 1.0:
            if self.views == self.epoch_start:
                self.faces.rescan()
                self.crop_size = crop_size(self.config.schedule, self.progress)
            if not len(self.faces.training):
                folders = ", ".join(map(str, self.config.data))
                raise FileNotFoundError(f"expected shard-*.npz with faces in {folders}")
            self._run_epoch()
        self.save()

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

    def _run_epoch(self) -> None:
        sums = EpochSums()
        self.network.train()
        with tqdm(self._batches(), f"epoch {self.epoch}", disable=None, leave=False) as batches:
            for crops, labels in batches:
                sums.waited_s += self._tick()
                # Before the step: a checkpoint never stands at the end of an epoch, where its
                # report would be lost.
                if self.elapsed_s - self._last_checkpoint > 60 * self.config.checkpoint_minutes:
                    self.save()
                parts = self.step(crops, labels)
                batches.set_postfix(loss=f"{parts['loss']:.3f}", mae=f"{parts['mae']:.2f}")
                sums.add(parts, len(labels))
                sums.stepped_s += self._tick()
                if self.config.schedule.minutes and self.progress >= 1.0:
                    break
        self._report(sums)
        self.epoch, self.epoch_start = self.epoch + 1, self.views

    def _batches(self) -> DataLoader[Any]:
        """Loader of what is left of the epoch, in whole batches."""
        config, schedule = self.config, self.config.schedule
        order = epoch_order(self.faces.training, schedule.views_per_epoch, config.seed, self.epoch)
        order = order[self.views - self.epoch_start :]
        views = ViewBatches(
            self.faces, order, config.augment, self.crop_size, config.seed, self.views
        )
        return DataLoader(views, schedule.batch_size, num_workers=config.workers)

    def step(self, crops: Tensor, labels: Tensor) -> dict[str, float]:
        """One update from crops (N, S, S, 3) uint8 and labels (N, 3) degrees."""
        crops, labels = crops.to(self.device), labels.to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config.optimizer, self.progress)
        logits = self.network(crops)
        losses = hard_loss(logits, labels, self.config.loss)
        if not torch.isfinite(losses["loss"]):
            self._stop_diverged(crops, labels)
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        if self.config.optimizer.clip_norm:
            parameters = self.network.parameters()
            torch.nn.utils.clip_grad_norm_(parameters, self.config.optimizer.clip_norm)
        self.optimizer.step()
        if self.average:
            self.average.update_parameters(self.network)
        self.views += len(labels)
        error = (expectation_deg(logits.detach()) - labels).abs().mean()
        return {name: float(value.detach()) for name, value in losses.items()} | {
            "mae": float(error)
        }

    def _stop_diverged(self, crops: Tensor, labels: Tensor) -> None:
        path = self.config.out / "diverged.pt"
        save_checkpoint(path, {"crops": crops, "labels": labels, "views": self.views})
        raise RuntimeError(
            f"the loss is not finite after {self.views} views; the batch is in {path}. "
            "Lower the learning rate or clip the gradient, and start in a new directory"
        )

    def _report(self, sums: EpochSums) -> None:
        """One line in metrics.jsonl and one for the person who waits."""
        due = self.epoch % self.config.holdout_every == 0 or self.progress >= 1.0
        indices = self.faces.holdout[: self.config.holdout_faces if due else 0]
        holdout = measure_holdout(self.result, self.faces, indices, self.crop_size)
        self._tick()
        progress = min(max(self.progress, 1e-9), 1.0)
        record = {
            "epoch": self.epoch,
            "views": self.views,
            "progress": progress,
            "crop_size": self.crop_size,
            "faces": len(self.faces.training),
            "lr": learning_rate(self.config.optimizer, progress),
            **sums.record(),
            "holdout": holdout,
            "elapsed_s": self.elapsed_s,
            "left_s": self.elapsed_s * (1.0 / progress - 1.0),
        }
        self.log.append(record)
        print(summary_line(record), flush=True)

    def _tick(self) -> float:
        """Seconds since the last tick, which become part of `elapsed_s`."""
        before, self.elapsed_s = self.elapsed_s, time.monotonic() - self._clock
        return self.elapsed_s - before

    def save(self) -> None:
        """Write the checkpoint and the weights so far."""
        state = {
            "config": json.dumps(to_json(self.config)),
            "network": self.network.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "files": self.faces.files,
            **{name: getattr(self, name) for name in _COUNTERS},
        }
        save_checkpoint(self.config.out / CHECKPOINT, state)
        notes = {"training": fingerprint(self.config), "views": str(self.views)}
        save_weights(self.config.out / WEIGHTS, self.result, notes)
        self._last_checkpoint = self.elapsed_s

    def _resume(self) -> None:
        state = load_checkpoint(self.config.out / CHECKPOINT)
        if state is None:
            return
        changed = changed_settings(json.loads(state["config"]), self.config)
        if changed:
            raise ValueError(
                f"{self.config.out} holds a run with other settings of: {', '.join(changed)}; "
                "repeat its command to resume it, or choose another --out"
            )
        self.faces.add(state["files"])
        self.network.load_state_dict(state["network"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in _COUNTERS:
            setattr(self, name, state[name])


_COUNTERS = ("epoch", "views", "elapsed_s", "epoch_start", "crop_size")
