# SPDX-License-Identifier: Apache-2.0
"""Things in front of the face, drawn flat over the frame: hands, phones, cups, poles, scarves."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Image = NDArray[np.uint8]

SHARE = 0.12  # of the images


def add_occluder(
    rng: Rng, frame: Image, centre: tuple[float, float], face_px: float, skin: NDArray[np.float64]
) -> Image:
    """Cover part of a face. frame (S,S,3) uint8 RGB; centre: of the face, pixels; face_px: its
    size; skin (3,): a colour for hands, 0..255. Returns a new frame."""
    size = frame.shape[0]
    mask = np.zeros((size, size), np.uint8)
    # Around the face, mouth and cheeks included, seldom over all of it: that would leave nothing
    # to learn from.
    angle = rng.uniform(0, 2 * np.pi)
    reach = rng.uniform(0.2, 0.6) * face_px
    at = np.array(centre) + reach * np.array([np.cos(angle), np.sin(angle)])
    if rng.random() < 0.5:
        _draw_hand(rng, mask, at, np.array(centre) - at, face_px)
        colour = skin * np.exp(rng.normal(0, 0.1))
    else:
        extent = rng.uniform(0.15, 0.55, 2) * face_px
        tilt = float(rng.uniform(0, 180))
        if rng.random() < 0.5:
            corners = cv2.boxPoints((tuple(at.tolist()), tuple(extent.tolist()), tilt))
            cv2.fillConvexPoly(mask, corners.astype(np.int32), 255, cv2.LINE_AA)
        else:
            axes = tuple(int(e / 2) for e in extent)
            middle = tuple(int(c) for c in at)
            cv2.ellipse(mask, middle, axes, tilt, 0, 360, 255, -1, cv2.LINE_AA)
        colour = rng.uniform(5, 250, 3) if rng.random() < 0.6 else np.full(3, rng.uniform(5, 60))
    shade = cv2.resize(rng.uniform(0.6, 1.25, (4, 4)).astype(np.float32), (size, size))
    relief = cv2.GaussianBlur(mask, (0, 0), max(face_px * 0.03, 0.5)).astype(np.float32) / 255
    paint = colour[None, None] * (shade * (0.45 + 0.55 * relief))[..., None]
    paint += rng.normal(0, 4, (size, size, 1))
    alpha = (cv2.GaussianBlur(mask, (0, 0), 0.7).astype(np.float32) / 255)[..., None]
    return np.asarray(np.clip(frame * (1 - alpha) + paint * alpha, 0, 255), np.uint8)


def _draw_hand(
    rng: Rng, mask: Image, at: NDArray[np.float64], towards: NDArray[np.float64], face_px: float
) -> None:
    """A palm, fingers toward the face, an arm away from it, as capsules."""
    direction = towards / (np.linalg.norm(towards) + 1e-6)
    side = np.array([-direction[1], direction[0]])
    width = face_px * rng.uniform(0.08, 0.12)
    palm = at - direction * face_px * 0.15
    spread = rng.uniform(0.85, 1.25)
    _capsule(mask, palm - direction * face_px, palm, width * 3.0)
    _capsule(mask, palm - side * width * 0.8, palm + side * width * 0.8, width * 3.4)
    for k in range(4):
        root = palm + side * (k - 1.5) * width
        tip = root + direction * face_px * rng.uniform(0.25, 0.45)
        tip += side * (k - 1.5) * width * (spread - 0.9) * 2
        _capsule(mask, root, tip, width * 0.9)


def _capsule(
    mask: Image, start: NDArray[np.float64], end: NDArray[np.float64], width: float
) -> None:
    points = [tuple(int(v) for v in p) for p in (start, end)]
    cv2.line(mask, points[0], points[1], 255, max(int(width), 1), cv2.LINE_AA)
