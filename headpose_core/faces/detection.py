# SPDX-License-Identifier: Apache-2.0
"""Detectors by name, and a detector whose boxes are known."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from headpose_core.errors import ModelError
from headpose_core.faces.face_detector import DetectorSettings, FaceDetector
from headpose_core.faces.insightface_detector import InsightFaceDetector
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_view import ImageView
from headpose_core.types import Faces

DETECTORS = ("yunet", "insightface")


class GivenBoxes:
    """A detector that finds the same boxes in every image, as in evaluation against labels.

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
        self.settings = DetectorSettings(score_threshold=0.0, min_face_size=0.0)
        self._faces = Faces(corners[order], values[order])

    def detect(self, view: ImageView) -> Faces:
        """The given boxes, best score first."""
        return self.settings.accepted(self._faces)


def open_detector(
    name: str,
    model_path: str | os.PathLike[str] | None = None,
    *,
    threads: int = 1,
    **settings: Any,
) -> FaceDetector:
    """The detector of a name in ``DETECTORS``.

    model_path: its file; YuNet has a default. settings: those of ``DetectorSettings``, by name.
    Raises ModelError or DeviceError as the detector does, and ValueError for another name.
    """
    if name == "yunet":
        return YuNet(model_path, threads=threads, **settings)
    if name != "insightface":
        raise ValueError(f"detector: expected {' or '.join(DETECTORS)}, got '{name}'")
    if model_path is None:
        raise ModelError(
            "detector insightface: expected the path of an SCRFD or RetinaFace file (ONNX), got "
            "none; the package brings no weights, and nothing is downloaded here"
        )
    return InsightFaceDetector(model_path, threads=threads, **settings)
