# SPDX-License-Identifier: Apache-2.0
"""Light that leaves little of a face, and sensors that add to it.

All work on crops (S, S, 3) uint8 RGB, as the stages of `degrade.py` do.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.types import Image

_LEVELS = np.arange(256.0)


def one_sided(crop: Image, rng: np.random.Generator) -> Image:
    """A lamp from one side: what lies beyond its bent edge is dark, down to black."""
    size = len(crop)
    towards, bend, place = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.8), rng.normal(0, 0.15)
    softness = np.exp(rng.uniform(np.log(0.03), np.log(0.3)))
    darkest = rng.uniform(0.0, 0.25) if rng.random() < 0.7 else 0.0
    y, x = np.mgrid[: size // 2, : size // 2] * (2 / size) - 0.5
    c, s = np.cos(towards), np.sin(towards)
    lit = 0.5 + 0.5 * np.tanh((c * x + s * y + bend * (c * y - s * x) ** 2 - place) / softness)
    gain = darkest + (rng.uniform(1.0, 1.4) - darkest) * lit
    return _times(crop, np.asarray(cv2.resize(gain, (size, size)), np.float32))


def silhouette(crop: Image, rng: np.random.Generator) -> Image:
    """Light from behind: the head is dark, down to a tenth, and what is around it bright."""
    size = len(crop)
    y, x = np.mgrid[: size // 2, : size // 2] * (2 / size) - 0.5
    wide, high = rng.uniform(0.3, 0.5), rng.uniform(0.4, 0.6)
    off = ((x - rng.normal(0, 0.05)) / wide) ** 2 + ((y - rng.normal(0.05, 0.05)) / high) ** 2
    around = 0.5 + 0.5 * np.tanh((off - 1.0) / rng.uniform(0.3, 1.0))
    darkest = np.exp(rng.uniform(np.log(0.1), np.log(0.6)))
    gain = darkest + (rng.uniform(1.2, 2.5) - darkest) * around
    return _times(crop, np.asarray(cv2.resize(gain, (size, size)), np.float32))


def extreme(crop: Image, rng: np.random.Generator) -> Image:
    """Far too dark or far too bright, after all that a camera makes up for."""
    mean = max(float(crop.mean()), 1.0)
    dark = rng.random() < 0.6
    wanted = np.exp(rng.uniform(np.log(8.0), np.log(50.0))) if dark else rng.uniform(170.0, 235.0)
    levels = _LEVELS * (wanted / mean)
    if dark and rng.random() < 0.5:  # crushed: the shadows go first
        levels = levels * (_LEVELS / 255) ** rng.uniform(0.2, 1.0) * 1.5
    return np.asarray(cv2.LUT(crop, np.clip(np.rint(levels), 0, 255).astype(np.uint8)), np.uint8)


def sensor(crop: Image, rng: np.random.Generator) -> Image:
    """Noise as sensors have it: it grows with the ISO and with the square root of the light.

    Photons and the noise of reading are drawn in linear light and looked at through the camera's
    curve, so that the shadows suffer most; its denoising leaves blotches.
    """
    photons = np.exp(rng.uniform(np.log(30.0), np.log(2000.0)))  # of white
    reading = rng.uniform(0.5, 3.0)
    light = np.maximum(_LEVELS / 255, 0.03) ** 2.2
    spread = np.sqrt(light * photons + reading**2) / photons
    slope = 255 / 2.2 * light ** (1 / 2.2 - 1)  # of the curve: grey levels by light
    sigma = np.minimum(spread * slope, 45.0).astype(np.float32)
    cv2.setRNGSeed(int(rng.integers(1 << 31)))
    drawn = np.empty(crop.shape, np.float32)
    cv2.randn(drawn, np.array([0.0]), np.array([1.0]))
    if rng.random() < 0.5:
        grain = rng.uniform(0.4, 1.0)
        drawn = np.asarray(cv2.GaussianBlur(drawn, (0, 0), grain)) * (2.0 * grain)
    colour = rng.uniform(0.2, 1.0)  # of the noise: cameras take that away first
    mixing = np.full((3, 3), (1 - colour) / 3, np.float32) + colour * np.eye(3, dtype=np.float32)
    noisy = crop + cv2.transform(drawn, mixing) * sigma[crop]
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def _times(crop: Image, gain: NDArray[np.float32]) -> Image:
    return np.asarray(cv2.multiply(crop, cv2.merge([gain] * 3), dtype=cv2.CV_8U), np.uint8)
