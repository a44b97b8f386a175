# SPDX-License-Identifier: Apache-2.0
"""Degradations between a face and the lens: what covers it, and how it is lit.

Of (S, S, 3) uint8 RGB, to a new crop of the same shape.
"""

from __future__ import annotations

import cv2
import numpy as np

from headpose_core.types import Image


def occlude(crop: Image, rng: np.random.Generator) -> Image:
    """A rectangle or an ellipse, flat or with the texture of another part of the crop."""
    size = len(crop)
    width, height = (int(side) for side in rng.uniform(0.1, 0.5, 2) * size)
    x, y = (int(place) for place in rng.uniform(-0.1, 0.9, 2) * size)
    angle = rng.uniform(0, 180) if rng.random() < 0.5 else None

    def paint(canvas: Image, colour: tuple[int, ...]) -> Image:
        if angle is None:
            cv2.rectangle(canvas, (x, y), (x + width, y + height), colour, cv2.FILLED)
        else:
            axes = (width // 2, height // 2)
            cv2.ellipse(canvas, (x, y), axes, angle, 0, 360, colour, cv2.FILLED)
        return canvas

    if rng.random() < 0.5:
        return paint(crop.copy(), tuple(map(int, rng.integers(0, 256, 3))))
    mask = paint(np.zeros((size, size), np.uint8), (255,))
    cover = np.roll(crop, tuple(rng.integers(size // 4, size // 2, 2)), (0, 1))
    return np.asarray(cv2.copyTo(cover, mask, crop.copy()), np.uint8)


def strands(crop: Image, rng: np.random.Generator) -> Image:
    """A bundle of curved lines of one colour and nearly one course, across or beside the face."""
    size, count = len(crop), int(rng.integers(3, 40))
    down = np.linspace(-0.1, rng.uniform(0.5, 1.1), 12)
    across = rng.uniform(-0.1, 1.1) + rng.normal(0, 0.3) * down + rng.normal(0, 0.4) * down**2
    apart = (
        rng.normal(0, rng.uniform(0.02, 0.12), (count, 1)) + rng.normal(0, 0.03, (count, 1)) * down
    )
    points = np.stack([across + apart, np.broadcast_to(down, apart.shape)], axis=-1) * size
    course = rng.normal(0, 25)  # degrees that the bundle is off from hanging down
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), course, 1.0)
    points = points @ turn[:, :2].T + turn[:, 2]
    shift = 4  # fractional bits of the coordinates
    lines = list(np.rint(points * 2**shift).astype(np.int32))
    bright = rng.uniform(5, 160)
    colour = bright * np.array([1.0, rng.uniform(0.6, 1.0), rng.uniform(0.4, 1.0)])
    thick = int(rng.integers(1, 3))
    drawn = cv2.polylines(crop.copy(), lines, False, colour.tolist(), thick, cv2.LINE_AA, shift)
    opacity = rng.uniform(0.5, 1.0)
    return np.asarray(cv2.addWeighted(drawn, opacity, crop, 1 - opacity, 0.0), np.uint8)


def shade(crop: Image, rng: np.random.Generator) -> Image:
    """One side darker than the other; the edge between them soft or sharp, straight or bent."""
    size = len(crop)
    towards, bend, place = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.7), rng.normal(0, 0.2)
    softness = np.exp(rng.uniform(np.log(0.03), np.log(0.6)))
    darker, brighter = rng.uniform(0.2, 1.0), rng.uniform(0.0, 0.3)
    y, x = np.mgrid[: size // 2, : size // 2] * (2 / size) - 0.5
    c, s = np.cos(towards), np.sin(towards)
    side = np.tanh((c * x + s * y + bend * (c * y - s * x) ** 2 - place) / softness)
    gain = cv2.resize(np.exp(darker * (side - 1.0) + brighter), (size, size))
    return np.asarray(cv2.multiply(crop, cv2.merge([gain] * 3), dtype=cv2.CV_8U), np.uint8)
