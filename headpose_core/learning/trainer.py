# SPDX-License-Identifier: Apache-2.0
"""The training loop: plain PyTorch, resumed exactly by running the same command again.

Everything random depends on the seed and on how many views were seen, so that a run that was
killed and resumed ends with the weights of an unbroken one (on a CPU, with a schedule in epochs).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from headpose_core.learning.checkpoint import save_checkpoint, write_text
from headpose_core.learning.config import TrainConfig, to_json
from headpose_core.learning.datasets import ViewBatches
from headpose_core.learning.journal import EpochSums, MetricsLog, measure_holdout, summary_line
from headpose_core.learning.losses import expectation_deg, hard_loss
from headpose_core.learning.optimizer import learning_rate
from headpose_core.learning.schedule import epoch_order
from headpose_core.learning.state import WEIGHTS, TrainingState


def train(config: TrainConfig) -> Path:
    """Run, or resume, a training run; returns the path of its weights.

    Raises ValueError when `config.out` holds a run with other settings, and RuntimeError
    when the loss is not finite (the batch is saved beside the checkpoint).
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    config.out.mkdir(parents=True, exist_ok=True)
    state = TrainingState(config)
    write_text(config.out / "config.json", json.dumps(to_json(config), indent=2) + "\n")
    log = MetricsLog(config.out / "metrics.jsonl", state.views)
    while state.progress < 1.0:
        state.begin_epoch()
        record = report(state, train_epoch(state))
        log.append(record)
        print(summary_line(record), flush=True)
        state.end_epoch()
    state.save()
    return config.out / WEIGHTS


def train_epoch(state: TrainingState) -> EpochSums:
    """What is left of an epoch, step by step."""
    sums = EpochSums()
    state.network.train()
    with tqdm(batches(state), f"epoch {state.epoch}", disable=None, leave=False) as bar:
        for crops, labels in bar:
            sums.waited_s += state.tick()
            # Before the step: a checkpoint never stands at the end of an epoch, where its
            # report would be lost.
            state.save_if_due()
            parts = step(state, crops.to(state.device), labels.to(state.device))
            bar.set_postfix(loss=f"{parts['loss']:.3f}", mae=f"{parts['mae']:.2f}")
            sums.add(parts, len(labels))
            sums.stepped_s += state.tick()
            if state.config.schedule.minutes and state.progress >= 1.0:
                break
    return sums


def batches(state: TrainingState) -> DataLoader[Any]:
    """Loader of what is left of the epoch: crops (N, S, S, 3) uint8, labels (N, 3) degrees."""
    config, schedule = state.config, state.config.schedule
    order = epoch_order(state.faces.training, schedule.views_per_epoch, config.seed, state.epoch)
    order = order[state.views - state.epoch_start :]
    views = ViewBatches(
        state.faces, order, config.augment, state.crop_size, config.seed, state.views
    )
    return DataLoader(views, schedule.batch_size, num_workers=config.workers)


def step(state: TrainingState, crops: Tensor, labels: Tensor) -> dict[str, float]:
    """One update of the weights; returns the loss, its parts and the mean absolute error."""
    config = state.config.optimizer
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, state.progress)
    logits = state.network(crops)
    losses = hard_loss(logits, labels, state.config.loss)
    if not torch.isfinite(losses["loss"]):
        stop_diverged(state, crops, labels)
    state.optimizer.zero_grad(set_to_none=True)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    if config.clip_norm:
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), config.clip_norm)
    state.optimizer.step()
    if state.average:
        state.average.update_parameters(state.network)
    state.views += len(labels)
    losses["mae"] = (expectation_deg(logits) - labels).abs().mean()
    return {name: float(value.detach()) for name, value in losses.items()}


def stop_diverged(state: TrainingState, crops: Tensor, labels: Tensor) -> None:
    """Save the batch and raise RuntimeError."""
    path = state.config.out / "diverged.pt"
    save_checkpoint(path, {"crops": crops, "labels": labels, "views": state.views})
    raise RuntimeError(
        f"the loss is not finite after {state.views} views; the batch is in {path}. "
        "Lower the learning rate or clip the gradient, and start in a new directory"
    )


def report(state: TrainingState, sums: EpochSums) -> dict[str, Any]:
    """The record of an epoch, with the hold-out measured when it is due."""
    due = state.epoch % state.config.holdout_every == 0 or state.progress >= 1.0
    indices = state.faces.holdout[: state.config.holdout_faces if due else 0]
    holdout = measure_holdout(state.result, state.faces, indices, state.crop_size)
    state.tick()
    progress = min(max(state.progress, 1e-9), 1.0)
    return {
        "epoch": state.epoch,
        "views": state.views,
        "progress": progress,
        "crop_size": state.crop_size,
        "faces": len(state.faces.training),
        "lr": learning_rate(state.config.optimizer, progress),
        **sums.record(),
        "holdout": holdout,
        "elapsed_s": state.elapsed_s,
        "left_s": state.elapsed_s * (1.0 / progress - 1.0),
    }
