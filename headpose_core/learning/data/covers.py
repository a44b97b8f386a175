# SPDX-License-Identifier: Apache-2.0
"""What takes a part of a face away: the border of the image, and what is held before it.

All work on crops (S, S, 3) uint8 RGB, as the stages of `degrade.py` do.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.types import FloatArray, Image

DEEPEST_CUT = 0.45
"""Of the crop, from a side: more leaves nothing to learn from."""
DEEPEST_COVER = 0.6


def cut(crop: Image, rng: np.random.Generator) -> Image:
    """Black beyond a straight line along one side, or two, as a crop is beyond its image."""
    size = len(crop)
    left, top, right, bottom = 0, 0, size, size
    for side in rng.permutation(4)[: 1 if rng.random() < 0.8 else 2]:
        depth = round(size * rng.uniform(0.04, DEEPEST_CUT))
        left, top = max(left, depth * (side == 0)), max(top, depth * (side == 1))
        right, bottom = (
            min(right, size - depth * (side == 2)),
            min(bottom, size - depth * (side == 3)),
        )
    seen = np.zeros_like(crop)
    seen[top:bottom, left:right] = crop[top:bottom, left:right]
    return seen


def cover(crop: Image, rng: np.random.Generator) -> Image:
    """Up to half of the face behind something in the colours of skin, cloth or metal.

    Its edge is straight or wavy, and it throws a little shade.
    """
    depth = edge_depth(len(crop), rng)
    softness = rng.uniform(0.5, 2.0) / len(crop)
    solid = np.clip(depth / softness + 0.5, 0.0, 1.0)[..., None]
    shade = 1.0 - rng.uniform(0.0, 0.5) * np.exp(np.minimum(depth, 0.0) / rng.uniform(0.02, 0.1))
    under = crop * shade[..., None]
    kind = rng.random()
    paint = skin(crop, rng) if kind < 0.4 else cloth(crop, rng) if kind < 0.8 else metal(crop, rng)
    shown = under + (paint * uneven(len(crop), rng)[..., None] - under) * solid
    return np.asarray(np.clip(shown, 0, 255), np.uint8)


def edge_depth(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How far each pixel (S, S) is behind the cover's edge, in sides of the crop; less than 0
    is in front of it. The cover comes from any direction, mostly from below or from a side."""
    towards = rng.choice((90.0, 0.0, 180.0, 270.0), p=(0.45, 0.2, 0.2, 0.15)) + rng.normal(0, 18)
    reach = rng.uniform(0.15, DEEPEST_COVER)
    c, s = np.cos(np.radians(towards)), np.sin(np.radians(towards))
    y, x = (np.mgrid[:size, :size] + 0.5).astype(np.float32) / size - 0.5
    along, across = c * x + s * y, c * y - s * x
    edge = 0.5 - reach + rng.normal(0, 0.25) * across**2 * 4
    if rng.random() < 0.4:  # fingers, folds
        edge = edge + rng.uniform(0.01, 0.06) * np.sin(
            across * rng.uniform(10, 40) + rng.uniform(0, 2 * np.pi)
        )
    return np.asarray(along - edge, np.float32)


def skin(crop: Image, rng: np.random.Generator) -> FloatArray:
    """A colour (3,) like that in the middle of the crop: the hand of the one who is seen."""
    size = len(crop)
    middle = crop[size // 4 : -size // 4, size // 4 : -size // 4].reshape(-1, 3)
    tone = np.exp(rng.normal(0.0, 0.2) + rng.normal(0.0, 0.05, 3))
    return np.asarray(np.median(middle, axis=0) * tone, np.float64)


def cloth(crop: Image, rng: np.random.Generator) -> NDArray[np.float32]:
    """One colour, or two in stripes or a weave (S, S, 3)."""
    size = len(crop)
    colours = rng.uniform(0, 255, (2, 3)) * rng.uniform(0.1, 1.0, (2, 1))
    if rng.random() < 0.3:
        colours[0] = rng.uniform(150, 255)  # white and grey: bandages, masks, sleeves
    if rng.random() < 0.5:
        colours[1] = colours[0]
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    turn, waves = rng.uniform(0, np.pi), rng.uniform(8, 90)
    stripes = np.sin(waves * (np.cos(turn) * x + np.sin(turn) * y))
    if rng.random() < 0.5:
        stripes = stripes * np.sin(waves * (np.cos(turn) * y - np.sin(turn) * x))
    mixed = colours[0] + (colours[1] - colours[0]) * (0.5 + 0.5 * stripes[..., None])
    return np.asarray(mixed + rng.normal(0, rng.uniform(0, 8), (size, size, 1)), np.float32)


def metal(crop: Image, rng: np.random.Generator) -> NDArray[np.float32]:
    """Grey or black with a bright line (S, S, 3): phones, microphones, instruments, rims."""
    size = len(crop)
    place = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    turn = rng.uniform(0, np.pi)
    along = np.cos(turn) * place[None, :] + np.sin(turn) * place[:, None]
    gleam = np.exp(-(((along - rng.normal(0, 0.3)) / rng.uniform(0.02, 0.2)) ** 2))
    grey = rng.uniform(5, 160) + rng.uniform(0, 150) * gleam
    warm = 1.0 + rng.normal(0, 0.08) * np.array([1.0, 0.3, -1.0])
    return np.asarray(grey[..., None] * warm, np.float32)


def uneven(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Light on a surface (S, S), about 1: what keeps a cover from being flat."""
    coarse = rng.uniform(0.65, 1.25, (4, 4)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)
