# SPDX-License-Identifier: Apache-2.0
"""Face boxes to the network's input: padded to a square, cut out, resized (paper, section 3.1).

Stretching a box to a square changes the proportions of a face, and with them the pose it seems
to have. The paper pads instead: k = |width - height|, half of it on each side of the shorter one.
Training uses this very module, so that the crop is the same at both ends.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.types import Image

CROP_SIZE = 112
# Stored in every model file; a model made with another rule is refused.
CROP_RULE: dict[str, Any] = {
    "size": CROP_SIZE,
    "padding": "square",
    "fill": 0,
    "shrink": "area",
    "enlarge": "bilinear",
    "channels": "RGB",
}


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


def crop_faces(image: Image, squares: ArrayLike, size: int = CROP_SIZE) -> NDArray[np.uint8]:
    """Cut squares out of an image and resize them.

    image: (H, W, 3) uint8. squares: (N, 4) int pixels, from ``square_boxes``. What lies outside
    the image is black. Shrinks with area averaging, enlarges bilinearly.
    Returns (N, size, size, 3) uint8 with the image's channel order.
    """
    squares = np.asarray(squares, np.int64).reshape(-1, 4)
    crops = np.empty((len(squares), size, size, 3), np.uint8)
    for crop, square in zip(crops, squares, strict=True):
        cutout = _cut(image, *square)
        shrink = cutout.shape[0] > size
        method = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
        cv2.resize(cutout, (size, size), dst=crop, interpolation=method)
    return crops


def _cut(image: Image, x1: int, y1: int, x2: int, y2: int) -> Image:
    """The window of the image, black where it leaves the image; a view where it does not."""
    height, width = image.shape[:2]
    left, top = max(-x1, 0), max(-y1, 0)
    right, bottom = max(x2 - width, 0), max(y2 - height, 0)
    inside = image[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)]
    # OpenCV 4.5 does not take a view of a single pixel.
    if not (left or top or right or bottom) and inside.size > 3:
        return inside
    window = np.zeros((y2 - y1, x2 - x1, 3), np.uint8)
    window[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return window
