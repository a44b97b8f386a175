# SPDX-License-Identifier: Apache-2.0
"""The training loop: plain PyTorch, resumed exactly by running the same command again.

Everything random depends on the seed and on how many views were seen, so that a run that was
killed and resumed ends with the weights of an unbroken one (on a CPU, with a schedule in epochs).
Teachers and students, one process and many, go through the same loop.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from headpose_core.learning.data.datasets import ViewBatches
from headpose_core.learning.run.checkpoint import save_checkpoint, write_text
from headpose_core.learning.run.config import DistillConfig, RunConfig, TrainConfig, to_json
from headpose_core.learning.run.distributed import RunningStatistics
from headpose_core.learning.run.journal import (
    EpochSums,
    Journal,
    measure_holdout,
    progress_text,
    summary_line,
)
from headpose_core.learning.run.losses import (
    distill_loss,
    expectation_deg,
    hard_loss,
    mirror_divergence,
)
from headpose_core.learning.run.optimizer import learning_rate
from headpose_core.learning.run.run_state import WEIGHTS, TrainingState
from headpose_core.learning.run.schedule import epoch_order


@dataclass(frozen=True)
class Batch:
    """What a process sees of an update: crops (N, W, S, S, 3) uint8, labels (N, W, 3) degrees.

    W views of each face: 1, or 2 that are mirrored to each other (`augment.training_views`).
    rows: (N,) numbers of the views among those that a face may have, for the teachers' cache.
    """

    crops: Tensor
    labels: Tensor
    rows: NDArray[np.int64] | None = None

    def parts(self, count: int) -> list[Batch]:
        """The batch in equal parts."""
        rows = [None] * count if self.rows is None else np.split(self.rows, count)
        pieces = zip(self.crops.chunk(count), self.labels.chunk(count), rows, strict=True)
        return [Batch(*piece) for piece in pieces]

    def views(self) -> tuple[Tensor, Tensor]:
        """Crops (W N, S, S, 3) and labels (W N, 3): of all faces the first view, then the next."""
        crops, labels = (values.transpose(0, 1) for values in (self.crops, self.labels))
        return crops.flatten(0, 1), labels.flatten(0, 1)


def train(config: RunConfig) -> Path:
    """Run, or resume, a training run; returns the path of its weights.

    Raises ValueError when `config.out` holds a run with other settings, and RuntimeError
    when the loss is not finite (the batch is saved beside the checkpoint).
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    cv2.setNumThreads(1)  # views are small: its threads cost more than they bring
    config.out.mkdir(parents=True, exist_ok=True)
    state = TrainingState(config)
    if state.group.leads:
        write_text(config.out / "config.json", json.dumps(to_json(config), indent=2) + "\n")
    journal = Journal(config.out, state.views) if state.group.leads else None
    while state.progress < 1.0:
        state.begin_epoch()
        sums = train_epoch(state)
        if journal:
            record = report(state, sums)
            journal.append(record)
            print(summary_line(record), flush=True)
        state.end_epoch()
    state.save()
    if journal:
        journal.close()
    state.group.wait()
    return config.out / WEIGHTS


def train_epoch(state: TrainingState) -> EpochSums:
    """What is left of an epoch, update by update."""
    sums = EpochSums()
    state.network.train()
    views = state.views_left_in_epoch // state.config.schedule.batch_size
    quiet = None if state.group.leads else True
    with tqdm(batches(state), f"epoch {state.epoch}", views, disable=quiet, leave=False) as bar:
        for batch in bar:
            sums.waited_s += state.tick()
            # Before the update: a checkpoint never stands at the end of an epoch, where its
            # report would be lost.
            state.save_if_due()
            parts = update(state, batch)
            sums.add(parts, state.config.schedule.batch_size)
            sums.stepped_s += state.tick()
            bar.set_postfix_str(progress_text(parts, state.holdout_mae, state.left_s))
            if state.config.schedule.minutes and state.progress >= 1.0:
                break
    return sums


def batches(state: TrainingState) -> Iterator[Batch]:
    """This process's share of what is left of the epoch, one batch for each update."""
    config, schedule, group = state.config, state.config.schedule, state.group
    done = state.views - state.epoch_start
    views = done + state.views_left_in_epoch
    order = epoch_order(state.faces.training, views, config.seed, state.epoch)[done:]
    variety = schedule.views_per_face
    data = ViewBatches(
        state.faces,
        order,
        config.augment,
        state.crop_size,
        config.seed,
        first_view=state.views,
        views_per_face=variety,
        fit=config.crop,
        both_ways=mirror_weight(config) > 0.0,
    )
    share = schedule.batch_size // group.size
    starts = range(group.rank * share, len(order), schedule.batch_size)
    chosen = [list(range(start, start + share)) for start in starts]
    on_gpu = state.device.type == "cuda"
    loader: DataLoader[Any] = DataLoader(
        data, batch_sampler=chosen, num_workers=config.workers, pin_memory=on_gpu
    )
    numbers = order * variety + (state.views + np.arange(len(order))) % max(variety, 1)
    for (crops, labels), positions in zip(loader, chosen, strict=True):
        yield Batch(
            crops.to(state.device, non_blocking=True),
            labels.to(state.device, non_blocking=True),
            numbers[positions] if variety else None,
        )


def update(state: TrainingState, batch: Batch) -> dict[str, float]:
    """One update of the weights; returns the loss, its parts and the mean absolute error."""
    config, count = state.config.optimizer, state.config.schedule.accumulate
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, state.progress)
    state.optimizer.zero_grad(set_to_none=True)
    statistics = RunningStatistics(state.network, state.group, count)
    measured = []
    for number, part in enumerate(batch.parts(count), start=1):
        with nullcontext() if number == count else state.group.gradient_stays(state.shared):
            losses = forward(state, part)
            state.scaler.scale(losses["loss"] / count).backward()
        statistics.end_part()
        measured.append(torch.stack([value.detach() for value in losses.values()]))
    statistics.end_update()
    if config.clip_norm:
        state.scaler.unscale_(state.optimizer)
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), config.clip_norm)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    if state.average:
        state.average.update_parameters(state.network)
    state.views += state.config.schedule.batch_size
    means = state.group.mean(torch.stack(measured).mean(dim=0))
    return dict(zip(losses, means.tolist(), strict=True))


def forward(state: TrainingState, batch: Batch) -> dict[str, Tensor]:
    """The loss of some views, its parts and the mean absolute error, as scalars."""
    config, precision = state.config, getattr(torch, state.config.precision)
    half = precision != torch.float32
    crops, labels = batch.views()
    with torch.autocast(state.device.type, precision, enabled=half):
        logits = state.shared(crops)
    logits = logits.float()
    if state.teachers:
        said = state.teachers(crops, batch.rows)
        losses = distill_loss(logits, said, labels, cast(DistillConfig, config).loss)
    else:
        losses = hard_loss(logits, labels, cast(TrainConfig, config).loss)
    if weight := mirror_weight(config):
        apart = mirror_divergence(logits)
        losses |= {"loss": losses["loss"] + weight * apart, "mirror_divergence": apart}
    if not torch.isfinite(losses["loss"]):
        stop_diverged(state, batch)
    error = (expectation_deg(logits) - labels).abs().nanmean()  # NaN: what is no face
    return {**losses, "mae": error}


def mirror_weight(config: RunConfig) -> float:
    """Weight of the agreement between a view and its mirror image; 0 of a distillation."""
    return config.loss.mirror_weight if isinstance(config, TrainConfig) else 0.0


def stop_diverged(state: TrainingState, batch: Batch) -> None:
    """Save the batch and raise RuntimeError."""
    path, step = state.config.out / "diverged.pt", state.views // state.config.schedule.batch_size
    views = {"crops": batch.crops, "labels": batch.labels, "views": state.views, "step": step}
    save_checkpoint(path, views)
    raise RuntimeError(
        f"the loss is not finite after {state.views} views, at step {step}; the batch is in "
        f"{path}. Lower the learning rate or clip the gradient, and start in a new directory"
    )


def report(state: TrainingState, sums: EpochSums) -> dict[str, Any]:
    """The record of an epoch, with the hold-out measured when it is due."""
    due = state.epoch % state.config.holdout_every == 0 or state.progress >= 1.0
    indices = state.faces.holdout[: state.config.holdout_faces if due else 0]
    holdout = measure_holdout(
        state.result, state.faces, indices, state.crop_size, state.config.crop
    )
    state.holdout_mae = holdout.get("mean", state.holdout_mae)
    state.tick()
    return {
        "epoch": state.epoch,
        "views": state.views,
        "progress": min(state.progress, 1.0),
        "crop_size": state.crop_size,
        "faces": len(state.faces.training),
        "lr": learning_rate(state.config.optimizer, state.progress),
        **sums.record(),
        "holdout": holdout,
        "elapsed_s": state.elapsed_s,
        "left_s": state.left_s,
    }
