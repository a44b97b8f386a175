# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np

from headpose_core.learning.data.degrade import STAGES
from headpose_core.learning.data.face_pool import FacePool
from tests.learning.drawn_faces import write_shard
from training.checks.augment_sheet import SheetConfig, draw_sheet, rows_of
from training.evaluation.pictures import TILE


def test_the_sheet_has_a_row_for_each_part_of_the_augmentation(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, 3)
    shards = FacePool([tmp_path])
    shards.rescan()
    config = SheetConfig(data=(str(tmp_path),), out=tmp_path / "sheet.png", mixed=2)
    rows = rows_of(config)
    assert {"plain", "turn", "mix 2", "flip *", "blur *", "resample *", "noise"} <= rows.keys()
    assert len(rows) == 4 + len(STAGES) + 2
    sheet = draw_sheet([shards[0], shards[1], shards[2]], config)
    assert sheet.shape == (len(rows) * TILE, 3 * TILE, 3)
    tiles = sheet.reshape(len(rows), TILE, 3, TILE, 3)
    plain = tiles[0].astype(np.float64)
    for name, tile in zip(rows, tiles[1:], strict=False):
        assert np.abs(tile - plain).max() > 0, name
