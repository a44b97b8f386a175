# SPDX-License-Identifier: Apache-2.0
"""What a run sees, and how fast it learns, as it goes on."""

from __future__ import annotations

import numpy as np
import pytest

from headpose_core.learning.run.optimizer import OptimizerConfig, learning_rate
from headpose_core.learning.run.schedule import ScheduleConfig, crop_size, epoch_order


def test_learning_rate_rises_then_falls_to_nothing() -> None:
    config = OptimizerConfig(lr=0.1, warmup=0.1)
    rates = [learning_rate(config, progress) for progress in np.linspace(0, 1, 101)]
    assert rates[0] == 0.0 and rates[-1] == pytest.approx(0.0, abs=1e-12)
    assert int(np.argmax(rates)) == 10 and rates[10] == pytest.approx(0.1, rel=0.03)
    assert learning_rate(OptimizerConfig(lr=0.1), 0.5) == pytest.approx(0.05)


def test_crop_sizes_follow_the_progress() -> None:
    config = ScheduleConfig(crop_sizes=((0.0, 64), (0.5, 80), (0.8, 112)))
    sizes = [crop_size(config, progress) for progress in (0.0, 0.49, 0.5, 0.8, 1.2)]
    assert sizes == [64, 64, 80, 112, 112]


@pytest.mark.parametrize(
    "sizes", [(), ((0.1, 112),), ((0.0, 112), (0.5, 64)), ((0.0, 64), (0.7, 80), (0.5, 112))]
)
def test_crop_sizes_that_make_no_sense_are_refused(sizes: tuple[tuple[float, int], ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ScheduleConfig(crop_sizes=sizes)


def test_an_epoch_uses_every_face_as_often_as_any_other() -> None:
    pool = np.array([3, 5, 8, 11])
    order = epoch_order(pool, views=10, seed=0, epoch=0)
    counts = [int((order == face).sum()) for face in pool]
    assert sum(counts) == 10 and max(counts) - min(counts) <= 1
    assert sorted(epoch_order(pool, views=0, seed=0, epoch=3)) == pool.tolist()
    assert not np.array_equal(order, epoch_order(pool, views=10, seed=0, epoch=1))
