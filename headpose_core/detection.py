# SPDX-License-Identifier: Apache-2.0
"""Face detection: an image to ``Faces``.

``YuNet`` is the embedded default. ``GivenBoxes`` stands in for a detector where the boxes are
known, as in evaluation against labels.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from headpose_core.image import check_image
from headpose_core.types import Faces, Image
from headpose_core.yunet import YuNet, YuNetSettings, find_yunet

__all__ = ["FaceDetector", "GivenBoxes", "YuNet", "YuNetSettings", "find_yunet"]


class FaceDetector(Protocol):
    """Anything that finds faces in an image."""

    def detect(self, image: Image) -> Faces:
        """Faces in an image, (H, W, 3) uint8 RGB, best score first, boxes not clipped to it."""
        ...


class GivenBoxes:
    """A detector that finds the same boxes in every image.

    boxes: (N, 4) x1, y1, x2, y2 pixels with x2 > x1 and y2 > y1. scores: (N,) 0 to 1, by default
    all 1. Raises ValueError for other shapes, empty boxes and values that are not finite.
    """

    def __init__(self, boxes: ArrayLike, scores: ArrayLike | None = None) -> None:
        corners = np.array(boxes, np.float32)
        if corners.size == 0:
            corners = corners.reshape(0, 4)
        if corners.ndim != 2 or corners.shape[1] != 4 or not np.isfinite(corners).all():
            raise ValueError(f"expected boxes as (N, 4) finite pixels, got shape {corners.shape}")
        if not (corners[:, 2:] > corners[:, :2]).all():
            raise ValueError(f"expected boxes with x2 > x1 and y2 > y1, got {corners.tolist()}")
        values = np.array(np.ones(len(corners)) if scores is None else scores, np.float32)
        if values.shape != (len(corners),) or not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"expected {len(corners)} scores from 0 to 1, got {values.tolist()}")
        order = np.argsort(-values, kind="stable")
        self._faces = Faces(corners[order], values[order])

    def detect(self, image: Image) -> Faces:
        """The given boxes, best score first. Raises ImageError when ``image`` is not an image."""
        check_image(image)
        return self._faces
