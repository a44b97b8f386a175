# SPDX-License-Identifier: Apache-2.0
"""Face detection: an image to ``Faces``.

``YuNet`` is the embedded default. ``GivenBoxes`` stands in for a detector where the boxes are
known, as in evaluation against labels. ``RotationRetry`` adds faces that lie on their side.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike

from headpose_core.errors import ModelError
from headpose_core.image import check_image
from headpose_core.image_view import AnyImage, as_view
from headpose_core.insightface_detector import InsightFaceDetector
from headpose_core.types import Faces
from headpose_core.yunet import YuNet, find_yunet

__all__ = [
    "DETECTORS",
    "FaceDetector",
    "GivenBoxes",
    "InsightFaceDetector",
    "RotationRetry",
    "YuNet",
    "find_yunet",
    "open_detector",
]

DETECTORS = ("yunet", "insightface")
_TURNS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


class FaceDetector(Protocol):
    """Anything that finds faces in an image."""

    def detect(self, image: AnyImage) -> Faces:
        """Faces in (H, W, 3) uint8 RGB or a view of it, best score first, boxes not clipped."""
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

    def detect(self, image: AnyImage) -> Faces:
        """The given boxes, best score first. Raises ImageError when ``image`` is not an image."""
        check_image(image)
        return self._faces


class RotationRetry:
    """Looks again in the image turned by 90, 180 and 270 degrees where a detector finds nothing.

    For cameras that hang or lie on their side and people who lie down: faces turned by 90 degrees
    in the image are mostly missed. An image without a face then takes four times as long.
    detector: what looks, YuNet or insightface's. enabled: whether to look again.
    """

    def __init__(self, detector: YuNet | InsightFaceDetector, *, enabled: bool = False) -> None:
        self.detector = detector
        self.enabled = enabled

    def configure(self, *, rotation_retry: bool | None = None, **changes: Any) -> None:
        """Change settings by name from the next image on; see the detector's own."""
        self.detector.configure(**changes)
        if rotation_retry is not None:
            self.enabled = rotation_retry

    def detect(self, image: AnyImage) -> Faces:
        """Faces, best score first, boxes and keypoints in the image as it came, not clipped to it.

        Of the turned images the one with the best score counts. ImageError for what is no image.
        """
        faces = self.detector.detect(image)
        if len(faces) or not self.enabled:
            return faces
        pixels = as_view(image).rgb()
        for turn in _TURNS:
            turned = self.detector.detect(np.asarray(cv2.rotate(pixels, turn), np.uint8))
            if len(turned) and (not len(faces) or turned.scores[0] > faces.scores[0]):
                faces = _turned_back(turned, turn, image.shape[1], image.shape[0])
        return faces


def open_detector(
    name: str, model_path: str | os.PathLike[str] | None = None, *, threads: int = 1
) -> RotationRetry:
    """The detector of a name in ``DETECTORS``.

    model_path: its file; YuNet has a default. Raises ModelError or DeviceError as it does, and
    ValueError for another name.
    """
    if name == "yunet":
        return RotationRetry(YuNet(model_path, threads=threads))
    if name != "insightface":
        raise ValueError(f"detector: expected {' or '.join(DETECTORS)}, got '{name}'")
    if model_path is None:
        raise ModelError(
            "detector insightface: expected the path of an SCRFD or RetinaFace file (ONNX), got "
            "none; the package brings no weights, and nothing is downloaded here"
        )
    return RotationRetry(InsightFaceDetector(model_path, threads=threads))


def _turned_back(faces: Faces, turn: int, width: int, height: int) -> Faces:
    """Faces of the image turned by ``turn``, in the pixels of the image of that size."""

    def back(points: np.ndarray) -> np.ndarray:
        x, y = points[..., 0], points[..., 1]
        if turn == cv2.ROTATE_180:
            return np.stack([width - x, height - y], axis=-1)
        if turn == cv2.ROTATE_90_CLOCKWISE:
            return np.stack([y, height - x], axis=-1)
        return np.stack([width - y, x], axis=-1)

    corners = back(faces.boxes.reshape(-1, 2, 2))
    boxes = np.hstack([corners.min(axis=1), corners.max(axis=1)])
    keypoints = None if faces.keypoints is None else back(faces.keypoints)
    return Faces(boxes, faces.scores, keypoints)
