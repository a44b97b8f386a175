# SPDX-License-Identifier: Apache-2.0
"""What a run leaves to look at."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from headpose_core.learning.run.journal import Journal


def test_curves_are_drawn_of_a_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path, views=0)
    journal.close()
    assert not (tmp_path / "curves.png").exists()  # nothing to draw yet
    for epoch in range(4):
        held = {"yaw": 9.0 - epoch, "pitch": 8.0, "roll": 7.0, "mean": 8.0 - epoch / 3}
        record = {"views": 1000 * (epoch + 1), "loss": 9.0 / (epoch + 1), "mae": 9.0, "lr": 1e-3}
        journal.append({**record, "holdout": held if epoch % 2 else {}})
    journal.close()
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture is not None and picture.shape == (700, 900, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_tensorboard_gets_the_numbers_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    journal = Journal(tmp_path, views=0)
    held = {"yaw": 7.0, "pitch": 8.0, "roll": 9.0, "mean": 8.0}
    journal.append({"views": 64, "loss": 3.5, "mae": 9.0, "lr": 1e-3, "holdout": held})
    journal.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    (scalar,) = events.Scalars("holdout/yaw")
    assert scalar.step == 64 and scalar.value == 7.0


def test_metrics_beyond_the_checkpoint_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"views": 10}\n{"views": 20}\n{"views": 30}\n{"vi')
    Journal(tmp_path, views=20).append({"views": 30, "again": True})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"views": 10}, {"views": 20}, {"views": 30, "again": True}]
