# SPDX-License-Identifier: Apache-2.0
"""What is no face: rendered, read, and learned with a flat target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

pytest.importorskip("scipy")
pytest.importorskip("moderngl")

from headpose_core.learning.data.augment import AugmentConfig
from headpose_core.learning.data.datasets import ViewBatches
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.learning.run.losses import HardLossConfig, hard_loss
from tests.learning.drawn_faces import write_shard as write_drawn
from training.synthesis.no_faces import NoFaces, decoy
from training.synthesis.shards import make_shard, shard_path, write_shard

if TYPE_CHECKING:
    from training.synthesis.engine import Engine


def test_pictures_without_a_face_are_read_without_a_label(engine: Engine, tmp_path: Path) -> None:
    columns = make_shard(engine, range(8), NoFaces(engine))
    again = make_shard(engine, range(8), NoFaces(engine))
    np.testing.assert_array_equal(columns["jpeg"], again["jpeg"])
    (tmp_path / "nothing").mkdir()
    write_shard(shard_path(tmp_path / "nothing", 0), columns)
    write_drawn(tmp_path / "faces", 0, 20)
    sources = [tmp_path / "faces", f"no-faces:{tmp_path / 'nothing'}"]
    pool = FacePool(sources, holdout_share=0.3, detected_only=True)
    pool.rescan()
    unlabelled = np.isnan(pool.angles_deg).any(axis=1)
    assert unlabelled.sum() == 8
    assert not unlabelled[pool.holdout].any() and unlabelled[pool.training].sum() == 8
    # As a rendered shard its faces are left out, because their label says nothing.
    plain = FacePool([tmp_path / "nothing"])
    plain.rescan()
    assert len(plain) == 0
    views = ViewBatches(pool, np.flatnonzero(unlabelled), AugmentConfig(), 112, 0, 0)
    crops, labels = views[0]
    assert crops.shape == (1, 112, 112, 3) and np.isnan(labels).all()


def test_of_what_is_no_face_the_flat_answer_is_the_best() -> None:
    labels = torch.tensor([[10.0, -5.0, 0.0], [torch.nan] * 3])
    config = HardLossConfig(label_sigma_deg=3.0)
    logits = torch.zeros(2, 3, 62, requires_grad=True)
    hard_loss(logits, labels, config)["loss"].backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[1].abs().max() < 1e-8 < 1e-3 < logits.grad[0].abs().max()
    alone = hard_loss(torch.zeros(1, 3, 62), labels[:1], config)["squared_error"]
    both = hard_loss(torch.zeros(2, 3, 62), labels, config)["squared_error"]
    assert float(both) == pytest.approx(float(alone) / 2)


def test_decoys_change_the_middle_of_the_picture() -> None:
    frame = np.full((192, 192, 3), 90, np.uint8)
    for seed in range(30):
        drawn = decoy(np.random.default_rng(seed), frame)
        assert drawn.shape == frame.shape and (frame == 90).all()
        assert (drawn != frame).any()
