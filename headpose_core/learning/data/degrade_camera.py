# SPDX-License-Identifier: Apache-2.0
"""Degradations in a camera: lens, exposure, colour, sensor, resolution, compression.

Of (S, S, 3) uint8 RGB, to a new crop of the same shape.
"""

from __future__ import annotations

import cv2
import numpy as np

from headpose_core.images.crop import CROP_SIZE
from headpose_core.types import FloatArray, Image

_LEVELS = np.arange(256.0)


def blur(crop: Image, rng: np.random.Generator) -> Image:
    """Gaussian blur of up to 2 pixels of the final crop."""
    sigma = rng.uniform(0.4, 2.0) * len(crop) / CROP_SIZE
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma), np.uint8)


def motion(crop: Image, rng: np.random.Generator) -> Image:
    """Mean along a line of up to 9 pixels of the final crop."""
    length = rng.uniform(2.0, 9.0) * len(crop) / CROP_SIZE
    direction = rng.uniform(0, np.pi)
    half = length / 2 * np.array([np.cos(direction), np.sin(direction)])
    radius = int(np.ceil(np.abs(half).max())) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    x, y = np.round(radius + np.linspace(-1, 1, 4 * radius + 1) * half[:, None]).astype(int)
    np.add.at(kernel, (y, x), 1)
    return np.asarray(cv2.filter2D(crop, -1, kernel / kernel.sum()), np.uint8)


def exposure(crop: Image, rng: np.random.Generator) -> Image:
    """Brightness and contrast: what the camera made of the scene, whatever the crop had before.

    Mean and standard deviation of the grey levels are drawn as those of face crops in photos are
    spread; rendered heads are darker and have two thirds of their contrast. Black stays black,
    because it is what lies outside the image. Deep shadows are not lifted by much: a half of the
    face that has no light stays dark when the other half is exposed well.
    """
    mean, spread = (float(np.mean(part[:3])) for part in cv2.meanStdDev(crop))
    wanted = np.clip(rng.normal(115.0, 38.0), 25.0, 230.0)
    contrast = np.clip(50.0 * np.exp(rng.normal(0.0, 0.35)) / max(spread, 1.0), 0.4, 3.0)
    lift, most = wanted - mean * contrast, abs(rng.normal(0.0, 25.0))
    if lift > most:
        lift, contrast = most, min((wanted - most) / max(mean, 1.0), 3.0)
    levels = lift + _LEVELS * max(contrast, 0.4)
    levels[0] = 0.0
    return np.asarray(cv2.LUT(crop, _as_table(levels)), np.uint8)


def curve(crop: Image, rng: np.random.Generator) -> Image:
    """A tone curve in the form of an S: black and white stay, the crop's mean gets steeper."""
    mean = np.clip(crop.mean() / 255, 0.1, 0.9)
    steepness, middle = rng.uniform(1.2, 2.5), np.log(0.5) / np.log(mean)
    levels = (_LEVELS / 255) ** middle
    light, dark = levels**steepness, (1 - levels) ** steepness
    tone = (light / (light + dark)) ** (1 / middle)
    return np.asarray(cv2.LUT(crop, _as_table(255 * tone)), np.uint8)


def tint(crop: Image, rng: np.random.Generator) -> Image:
    """Gamma, and a gain for each channel."""
    off = 0.4 if rng.random() < 0.2 else 0.12
    balance, gamma = rng.uniform(1 - off, 1 + off, 3), np.exp(rng.uniform(-0.4, 0.4))
    levels = (_LEVELS / 255) ** gamma * 255
    return np.asarray(cv2.LUT(crop, _as_table(levels[:, None] * balance)[:, None]), np.uint8)


def mix_with_grey(crop: Image, colour: float) -> Image:
    """The crop with `colour` times its saturation."""
    weights = np.array([0.299, 0.587, 0.114])
    matrix = colour * np.eye(3) + (1 - colour) * np.tile(weights, (3, 1))
    return np.asarray(cv2.transform(crop, matrix), np.uint8)


def saturation(crop: Image, rng: np.random.Generator) -> Image:
    """Between almost grey and stronger colours."""
    return mix_with_grey(crop, rng.uniform(0.3, 1.4))


def grey(crop: Image, rng: np.random.Generator) -> Image:
    """No colour."""
    return mix_with_grey(crop, 0.0)


def infrared(crop: Image, rng: np.random.Generator) -> Image:
    """Near infrared with its own lamp.

    Skin is bright and even there, as in the red channel; the light falls off from a spot on the
    face, so that its rim and the background go dark.
    """
    size = len(crop)
    red = rng.uniform(0.6, 1.0)
    skin = cv2.transform(crop, np.array([[red, 1 - red, 0.0]]))
    away = (np.arange(size) / size - rng.uniform(0.3, 0.7, (2, 1))) ** 2
    down, across = np.exp(-rng.uniform(1.0, 6.0) * away).astype(np.float32)
    light = np.outer(rng.uniform(0.9, 1.6) * down, across)
    lit = cv2.multiply(skin, light, dtype=cv2.CV_8U)
    return np.asarray(cv2.cvtColor(lit, cv2.COLOR_GRAY2RGB), np.uint8)


def noise(crop: Image, rng: np.random.Generator) -> Image:
    """Gaussian noise of up to 16 grey levels, the same or another one in each channel."""
    alike, sigma = rng.random() < 0.5, rng.uniform(2, 16)
    # OpenCV draws three times as fast as NumPy; seeded here, so that a view stays the same.
    cv2.setRNGSeed(int(rng.integers(1 << 31)))
    values = np.empty(crop.shape[:2] if alike else crop.shape, np.int16)
    cv2.randn(values, np.array([0.0]), np.array([sigma]))
    if alike:
        values = np.asarray(cv2.merge([values] * 3))
    return np.asarray(cv2.add(crop, values, dtype=cv2.CV_8U), np.uint8)


def sharpen(crop: Image, rng: np.random.Generator) -> Image:
    """Unsharp mask: the difference from a blurred crop is added."""
    sigma, amount = rng.uniform(0.6, 1.6) * len(crop) / CROP_SIZE, rng.uniform(0.3, 1.5)
    blurred = cv2.GaussianBlur(crop, (0, 0), sigma)
    return np.asarray(cv2.addWeighted(crop, 1.0 + amount, blurred, -amount, 0.0), np.uint8)


def resample(crop: Image, rng: np.random.Generator) -> Image:
    """As if the face had been 20 to 100 pixels wide in the image."""
    size = len(crop)
    side = int(rng.uniform(20, 100))
    if side >= size:
        return crop
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def compress(crop: Image, rng: np.random.Generator) -> Image:
    """JPEG of quality 15 to 80."""
    quality = int(rng.integers(15, 81))
    # The coder takes BGR; it must get it, so that the right channels lose resolution.
    bgr = cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _as_table(levels: FloatArray) -> Image:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
