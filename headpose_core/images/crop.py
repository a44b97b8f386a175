# SPDX-License-Identifier: Apache-2.0
"""Face boxes to the network's input: padded to a square, cut out, resized (paper, section 3.1).

Stretching a box to a square changes the proportions of a face, and with them the pose it seems
to have. The paper pads instead: k = |width - height|, half of it on each side of the shorter one.
Training uses this very module, so that the crop is the same at both ends. Stretching is here to be
compared with; a model file says which of the two it was trained with, and gets it.
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.images.image_view import ImageView

CROP_SIZE = 112
# How a box becomes a square: padded, as in the paper, or stretched.
Fit = Literal["pad", "stretch"]
# Stored in every model file; a model made with another rule is refused.
CROP_RULE: dict[str, Any] = {
    "size": CROP_SIZE,
    "padding": "square",
    "fill": 0,
    "shrink": "area",
    "enlarge": "bilinear",
    "channels": "RGB",
}
CROP_RULES: dict[Fit, dict[str, Any]] = {
    "pad": CROP_RULE,
    "stretch": {**CROP_RULE, "padding": "none"},
}


def crop_windows(boxes: ArrayLike, fit: Fit = "pad", scale: float = 1.0) -> NDArray[np.int32]:
    """What to cut out for boxes (N, 4): squares (see ``square_boxes``), or the boxes themselves.

    scale: of the boxes about their middles, before anything else.
    Returns (N, 4) int32: whole pixels that contain the scaled box.
    """
    if scale != 1.0:
        low, high = np.split(np.asarray(boxes, np.float64).reshape(-1, 4), 2, axis=1)
        middle, half = (low + high) / 2, (high - low) / 2 * scale
        boxes = np.hstack([middle - half, middle + half])
    if fit == "pad":
        return square_boxes(boxes)
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.hstack([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])]).astype(np.int32)


def square_boxes(boxes: ArrayLike) -> NDArray[np.int32]:
    """Pad boxes to exact squares of whole pixels.

    boxes: (N, 4) x1, y1, x2, y2 in pixels, x2 > x1 and y2 > y1; they may leave the image.
    Returns (N, 4) int32. Each square contains its box, and their centres are at most a pixel
    apart.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    low, high = np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])
    side = (high - low).max(axis=1, keepdims=True)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    origin = np.clip(np.round(centre - side / 2), high - side, low)
    return np.hstack([origin, origin + side]).astype(np.int32)


def crop_faces(view: ImageView, windows: ArrayLike, size: int = CROP_SIZE) -> NDArray[np.uint8]:
    """Cut windows out of an image and resize them.

    windows: (N, 4) int pixels, from ``crop_windows``. What lies outside the image is black.
    Shrinks with area averaging, enlarges bilinearly. Returns (N, size, size, 3) uint8 RGB.
    """
    windows = np.asarray(windows, np.int64).reshape(-1, 4)
    crops = np.empty((len(windows), size, size, 3), np.uint8)
    for crop, window in zip(crops, windows, strict=True):
        cutout = _cut(view, *window.tolist())
        shrink = max(cutout.shape[:2]) > size
        method = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
        resized = np.asarray(cv2.resize(cutout, (size, size), interpolation=method), np.uint8)
        crop[:] = view.to_rgb(resized)
    return crops


def _cut(view: ImageView, x1: int, y1: int, x2: int, y2: int) -> NDArray[np.uint8]:
    """Samples of the window, black where it leaves the image; no copy where it does not."""
    height, width, _ = view.shape
    left, top = min(max(x1, 0), width), min(max(y1, 0), height)
    right, bottom = max(min(x2, width), left), max(min(y2, height), top)
    inside = view.samples(left, top, right, bottom)
    # OpenCV 4.5 does not take a view of a single pixel.
    if (left, top, right, bottom) == (x1, y1, x2, y2) and inside.size > 3:
        return inside
    window = np.zeros((y2 - y1, x2 - x1, *inside.shape[2:]), np.uint8)
    window[top - y1 : bottom - y1, left - x1 : right - x1] = inside
    return window
