# SPDX-License-Identifier: Apache-2.0
"""Ways in which photos hide a part of a face, each the same every time: for `bad_pictures`.

All take and return crops (S, S, 3) uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from headpose_core.types import Image


def _cut(crop: Image, side: str) -> Image:
    """Black where the image has ended: three tenths of the crop."""
    seen, depth = crop.copy(), round(0.3 * len(crop))
    gone = {"top": np.s_[:depth], "bottom": np.s_[-depth:], "left": np.s_[:, :depth]}
    seen[gone[side]] = 0
    return np.asarray(seen, np.uint8)


def _hand(crop: Image) -> Image:
    """The colour of the face over its lower half."""
    size, seen = len(crop), crop.copy()
    middle = crop[size // 4 : -size // 4, size // 4 : -size // 4].reshape(-1, 3)
    seen[round(0.55 * size) :] = np.median(middle, axis=0).astype(np.uint8)
    return np.asarray(seen, np.uint8)


def _gain(crop: Image, gain: NDArray[np.float64]) -> Image:
    return np.asarray(np.clip(crop * gain[..., None], 0, 255), np.uint8)


def _half_black(crop: Image) -> Image:
    """Light from one side, the other one black."""
    place = np.linspace(-0.5, 0.5, len(crop))[None, :]
    return _gain(crop, np.repeat(0.5 + 0.5 * np.tanh(place / 0.06), len(crop), axis=0))


def _silhouette(crop: Image) -> Image:
    """A sixth of the light in the middle, twice of it around."""
    y, x = np.mgrid[: len(crop), : len(crop)] / len(crop) - 0.5
    around = 0.5 + 0.5 * np.tanh(((x / 0.4) ** 2 + (y / 0.5) ** 2 - 1.0) / 0.5)
    return _gain(crop, 1 / 6 + (2.0 - 1 / 6) * around)


def _overexposed(crop: Image) -> Image:
    return np.asarray(np.clip(crop * 2.5, 0, 255), np.uint8)


def _high_iso(crop: Image) -> Image:
    """60 photons where a pixel is white."""
    light = (np.maximum(crop, 1) / 255.0) ** 2.2
    seen = np.random.default_rng(0).poisson(60 * light) / 60
    return np.asarray(np.clip(255 * seen ** (1 / 2.2), 0, 255), np.uint8)


HARD: dict[str, Callable[[Image], Image]] = {
    "cut above": lambda crop: _cut(crop, "top"),
    "cut below": lambda crop: _cut(crop, "bottom"),
    "cut at a side": lambda crop: _cut(crop, "left"),
    "lower half behind a hand": _hand,
    "one half black": _half_black,
    "a silhouette": _silhouette,
    "overexposed": _overexposed,
    "noise of a high ISO": _high_iso,
}
