# SPDX-License-Identifier: Apache-2.0
"""Fit the box model of ``boxes.py`` to the detector's boxes on rendered heads.

    python -m training.synthesis.fit_boxes --assets DIR --count 3000

prints the coefficients to be kept in ``boxes.BOX_MODEL`` and how well they hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from headpose_core.faces.boxes import iou
from training.synthesis.boxes import BOX_MODEL, box_targets, fitted_box
from training.synthesis.engine import Engine
from training.synthesis.scene import FRAME_SIZE


@dataclass(frozen=True)
class FitConfig:
    """What to render."""

    assets: Path
    """Folder of the MakeHuman parts."""
    count: int = 3000
    """Images in all."""
    seed: int = 77


def main() -> None:
    """Render, detect, fit, print."""
    config = tyro.cli(FitConfig, description=__doc__)
    engine = Engine(config.assets, config.seed)
    terms, values, kept = [], [], []
    for index in range(config.count):
        sample = engine.sample(index)
        box = sample.frame_box
        if sample.detected and box.min() > 2 and box.max() < FRAME_SIZE - 2:
            x, y = box_targets(box, sample.landmarks, sample.scene.angles_deg)
            terms.append(x)
            values.append(y)
            kept.append(sample)
    X, Y = np.array(terms), np.array(values)
    # Three rounds that drop what is far off: half-hidden faces have boxes of their own.
    good = np.ones(len(X), bool)
    for _ in range(3):
        ridge = X[good].T @ X[good] + 1e-3 * np.eye(X.shape[1])
        model = np.linalg.solve(ridge, X[good].T @ Y[good]).T
        error = np.abs(X @ model.T - Y).max(1)
        good = error < 3 * np.median(error)
    print(f"{len(X)} boxes of {config.count} images, {good.mean():.0%} kept, residual std:")
    print((X @ model.T - Y)[good].std(0).round(4))
    before = [iou(s.frame_box, fitted_box(s.landmarks, s.scene.angles_deg)) for s in kept]
    BOX_MODEL[:] = model
    after = [iou(s.frame_box, fitted_box(s.landmarks, s.scene.angles_deg)) for s in kept]
    print(f"mean overlap {np.mean(before):.3f} -> {np.mean(after):.3f}")
    print(np.array2string(model, precision=4, separator=", ", suppress_small=True))


if __name__ == "__main__":
    main()
