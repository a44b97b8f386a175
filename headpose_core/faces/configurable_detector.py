# SPDX-License-Identifier: Apache-2.0
"""What detectors have in common: images shrunk and turned for them, faces turned back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.faces.boxes import iou
from headpose_core.faces.face_detector import DetectorSettings
from headpose_core.images.image_view import ImageView
from headpose_core.types import Faces, Image

_QUARTERS = {1: (0,), 2: (0, 2), 3: (0, 1, 3), 4: (0, 1, 2, 3)}  # of ``DetectorSettings.turns``
_NMS_IOU = 0.3


class ConfigurableDetector(ABC):
    """A ``FaceDetector`` by ``DetectorSettings``, given by name."""

    def __init__(self, **settings: Any) -> None:
        self.settings = DetectorSettings(**settings)

    def configure(self, **changes: Any) -> None:
        """Change settings by name from the next image on: all that are given or, on error, none.

        Raises ValueError with the range for a bad value, TypeError for an unknown name.
        """
        self.settings = replace(self.settings, **changes)

    def detect(self, view: ImageView) -> Faces:
        """Find faces, best score first, with keypoints if the network has them. The box of a face
        that is cut by the border leaves the image."""
        settings = self.settings  # read once: another thread may change them
        small, zoom = view.shrunk(settings.max_side)
        first = settings.image_turn // 90
        quarters = [(first + quarter) % 4 for quarter in _QUARTERS[settings.turns]]
        found = [self._at_a_turn(small, quarter, settings) for quarter in quarters]
        faces = found[0] if len(found) == 1 else _without_doubles(found)
        keypoints = None if faces.keypoints is None else faces.keypoints * zoom
        return settings.accepted(Faces(faces.boxes * np.tile(zoom, 2), faces.scores, keypoints))

    def _at_a_turn(self, image: Image, quarters: int, settings: DetectorSettings) -> Faces:
        """Faces of an image that is turned clockwise for the detector, in the image as it came."""
        if not quarters:
            return self._find(image, settings)
        faces = self._find(np.ascontiguousarray(np.rot90(image, -quarters)), settings)
        height, width = image.shape[:2]
        corners = _turned_back(faces.boxes.reshape(-1, 2, 2), quarters, width, height)
        boxes = np.hstack([corners.min(axis=1), corners.max(axis=1)])
        points = faces.keypoints
        keypoints = None if points is None else _turned_back(points, quarters, width, height)
        return Faces(boxes, faces.scores, keypoints)

    @abstractmethod
    def _find(self, image: Image, settings: DetectorSettings) -> Faces:
        """Faces in an image (H, W, 3) uint8 RGB that fits the network, best score first."""


def _turned_back(
    points: NDArray[np.float32], quarters: int, width: int, height: int
) -> NDArray[np.float32]:
    """Points (..., 2) of an image after clockwise quarter turns, in the image before them, whose
    size is given."""
    x, y = points[..., 0], points[..., 1]
    back = {1: (y, height - x), 2: (width - x, height - y), 3: (width - y, x)}
    return np.stack(back[quarters], axis=-1)


def _without_doubles(found: list[Faces]) -> Faces:
    """Faces of several searches as one; of a face that was found twice the better one."""
    boxes = np.concatenate([faces.boxes for faces in found])
    scores = np.concatenate([faces.scores for faces in found])
    points = [f.keypoints for f in found if f.keypoints is not None]
    keypoints = np.concatenate(points) if len(points) == len(found) else None
    return Faces(boxes, scores, keypoints)[suppressed(boxes, scores, _NMS_IOU)]


def suppressed(boxes: ArrayLike, scores: ArrayLike, most_iou: float) -> NDArray[np.intp]:
    """Non-maximum suppression: indices of the boxes to keep, best score first.

    boxes: (N, 4). scores: (N,). most_iou: two boxes that overlap more show the same thing.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    left = np.argsort(-np.asarray(scores), kind="stable")
    keep = []
    while left.size:
        best, left = left[0], left[1:]
        keep.append(best)
        left = left[iou(boxes[best], boxes[left])[0] <= most_iou]
    return np.array(keep, np.intp)
