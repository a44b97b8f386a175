# SPDX-License-Identifier: Apache-2.0
"""Boxes (N, 4) x1, y1, x2, y2: how they compare, all with all."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from headpose_core.types import FloatArray


def box_distances(first: ArrayLike, second: ArrayLike) -> FloatArray:
    """How unlike boxes are: (N, 4) and (M, 4) x1, y1, x2, y2 -> (N, M), 0 for the same box.

    The distance of their middles in sides (square root of the mean area), together with half the
    logarithms of the ratios of width and height: twice as large is like half a side away.
    """
    a = np.asarray(first, np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, np.float64).reshape(1, -1, 4)
    size_a, size_b = (np.maximum(box[..., 2:] - box[..., :2], 1e-6) for box in (a, b))
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    side = np.sqrt((size_a.prod(axis=-1) + size_b.prod(axis=-1)) / 2)
    ratio = np.log(size_a / size_b) / 2
    return np.asarray(np.sqrt((apart**2).sum(axis=-1) / side**2 + (ratio**2).sum(axis=-1)))


def iou(first: ArrayLike, second: ArrayLike) -> FloatArray:
    """Intersection over union of all pairs: boxes (N, 4) and (M, 4) x1, y1, x2, y2 -> (N, M)."""
    a = np.asarray(first, np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, np.float64).reshape(1, -1, 4)
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    common = np.maximum(high - low, 0.0).prod(axis=-1)
    area_a, area_b = (np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (a, b))
    return np.asarray(common / np.maximum(area_a + area_b - common, np.finfo(float).tiny))
