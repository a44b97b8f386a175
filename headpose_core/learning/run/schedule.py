# SPDX-License-Identifier: Apache-2.0
"""What a run sees: how much, in which order, at which size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headpose_core.images.crop import CROP_SIZE


@dataclass(frozen=True)
class ScheduleConfig:
    """The defaults are the paper's (section 4.1)."""

    epochs: int = 100
    minutes: float = 0.0
    """Ends the run, learning rate included, after this time; 0 counts epochs instead."""
    views_per_epoch: int = 0
    """Views drawn from the faces there are; 0 is every face once. The last batch is filled up."""
    views_per_face: int = 0
    """Different views that a face has in the whole run; 0 makes every view a new one."""
    batch_size: int = 64
    """Views of one update of the weights, over all processes."""
    accumulate: int = 1
    """Parts that each process does its views in, for batches that do not fit into memory."""
    crop_sizes: tuple[tuple[float, int], ...] = ((0.0, CROP_SIZE),)
    """From which share of the run on crops have which size: `0 64 0.6 80 0.85 112`. Smaller
    crops early make a run several times faster; the last size must be that of run time."""

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.crop_sizes]
        if not starts or starts[0] != 0.0 or starts != sorted(starts) or starts[-1] >= 1.0:
            raise ValueError(
                "expected crop sizes as pairs of a share of the run and a size, the shares "
                f"rising from 0 and below 1; got {self.crop_sizes}"
            )
        if self.crop_sizes[-1][1] != CROP_SIZE:
            last = self.crop_sizes[-1][1]
            raise ValueError(f"expected {CROP_SIZE} as the last crop size, got {last}")
        counts = (self.epochs, self.batch_size, self.accumulate)
        if min(counts) < 1 or min(self.minutes, self.views_per_epoch, self.views_per_face) < 0:
            raise ValueError(f"expected positive epochs, minutes and sizes, got {self}")


def crop_size(config: ScheduleConfig, progress: float) -> int:
    """Side of the crops at a `progress` of the run between 0 and 1."""
    return [size for start, size in config.crop_sizes if start <= progress][-1]


def views_in_epoch(config: ScheduleConfig, faces: int) -> int:
    """Views of an epoch over so many faces: a whole number of batches."""
    batches = -(-(config.views_per_epoch or faces) // config.batch_size)
    return batches * config.batch_size


def check_shares(config: ScheduleConfig, processes: int) -> None:
    """Raise ValueError when a batch cannot be shared out evenly."""
    if config.batch_size % (processes * config.accumulate):
        raise ValueError(
            f"expected a batch size that divides into {config.accumulate} parts for each of "
            f"{processes} processes, got {config.batch_size}"
        )
    if config.minutes and processes > 1:
        raise ValueError(
            "expected a schedule in epochs for many processes, because their clocks differ; got "
            f"{config.minutes} minutes"
        )


def epoch_order(pool: NDArray[np.int64], views: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The faces of an epoch: random passes over `pool`, cut to `views` (0: one pass)."""
    rng = np.random.default_rng((seed, epoch))
    views = views or len(pool)
    passes = -(-views // len(pool))
    return np.concatenate([rng.permutation(pool) for _ in range(passes)])[:views]
