# SPDX-License-Identifier: Apache-2.0
"""Draw what training sees: `python -m training.checks.augment_sheet --data DIR --out sheet.png`.

A column is a face. The first row is the crop of run time; then comes one row for each part of
the augmentation alone, always on, and at the end rows with everything as configured. The label
is drawn as axes, so that a wrong relabelling shows. Parts of the paper are marked with a star.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tyro

from headpose_core.images.crop import Fit
from headpose_core.images.image_files import write_image
from headpose_core.learning.data.augment import (
    NO_AUGMENTATION,
    AugmentConfig,
    training_views,
)
from headpose_core.learning.data.datasets import LabelledFace
from headpose_core.learning.data.degrade import PAPER_STAGES, STAGES, DegradeConfig
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.types import Image
from training.evaluation.pictures import contact_sheet, labelled_tile


@dataclass(frozen=True)
class SheetConfig:
    """What to draw."""

    data: tuple[str, ...]
    """Data sets as in training: directories of rendered shards, or KIND:ROOT."""
    out: Path
    faces: int = 12
    """Columns."""
    mixed: int = 6
    """Rows with the whole augmentation."""
    size: int = 112
    """Side of the crops in pixels."""
    seed: int = 0
    crop: Fit = "pad"
    """Whether boxes are padded to a square or stretched."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)


def rows_of(config: SheetConfig) -> dict[str, AugmentConfig]:
    """Augmentations to draw, by the name of the row."""
    still, off = NO_AUGMENTATION.geometry, DegradeConfig.off()
    given = config.augment.geometry
    geometry = {
        "plain": still,
        "flip *": replace(still, flip=1.0),
        "shift and scale": replace(still, shift=given.shift, scale=given.scale),
        "turn": replace(still, rotate=1.0, rotate_deg=given.rotate_deg),
    }
    rows = {name: AugmentConfig(one, off) for name, one in geometry.items()}
    for name in STAGES:
        mark = " *" if name in PAPER_STAGES else ""
        rows[name + mark] = AugmentConfig(still, replace(off, **{name: 1.0}))
    return rows | {f"mix {number + 1}": config.augment for number in range(config.mixed)}


def draw_sheet(faces: Sequence[LabelledFace], config: SheetConfig) -> Image:
    """All rows as one picture."""
    tiles = []
    for number, (name, augment) in enumerate(rows_of(config).items()):
        for column, face in enumerate(faces):
            rng = np.random.default_rng((config.seed, number, column))
            (crop,), (label,) = training_views(
                face.image, face.box, face.angles_deg, augment, config.size, rng, config.crop
            )
            tiles.append(labelled_tile(crop, label, name if column == 0 else ""))
    return contact_sheet(tiles, len(faces))


def main() -> None:
    """Command line."""
    config = tyro.cli(SheetConfig, description=__doc__)
    pool = FacePool(config.data)
    pool.rescan()
    chosen = np.random.default_rng(config.seed).permutation(len(pool))[: config.faces]
    write_image(config.out, draw_sheet([pool[int(index)] for index in chosen], config))
    print(config.out)


if __name__ == "__main__":
    main()
