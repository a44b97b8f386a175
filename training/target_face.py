# SPDX-License-Identifier: Apache-2.0
"""Detectors for evaluation: find the face that the label is about, and remember detections."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from headpose_core.detection import FaceDetector, YuNet
from headpose_core.learning.checkpoint import write_text
from headpose_core.tracking import iou
from headpose_core.types import Faces, Image

MIN_IOU = 0.4


class TargetFace:
    """A detector that reports one face only: the one that a label is about.

    Of the wrapped detector's faces it takes the one that overlaps most with the labelled box.
    Is none at `MIN_IOU` or more, the face is `missed`, and the labelled box stands in for it:
    never another face. Set `box` (4,) before each image.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self.box = np.zeros(4, np.float32)
        self.missed = False

    def detect(self, image: Image) -> Faces:
        """One face."""
        faces = self._detector.detect(image)
        overlap = iou(faces.boxes, self.box)[:, 0]
        self.missed = not len(faces) or float(overlap.max()) < MIN_IOU
        if self.missed:
            return Faces(self.box[None], np.zeros(1, np.float32))
        best = int(overlap.argmax())
        return Faces(faces.boxes[best : best + 1], faces.scores[best : best + 1])


class CachedYuNet:
    """YuNet that looks into a file first; `save` writes what is new.

    An entry belongs to a detector file, its settings and the pixels of an image, so that a
    change of any of them detects anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._yunet = YuNet()
        model = hashlib.sha256(Path(self._yunet.model_path).read_bytes()).hexdigest()
        self._detector = f"{model[:16]} {self._yunet.settings}"
        self._entries: dict[str, list[list[float]]] = {}
        if path.exists():
            saved = json.loads(path.read_text())
            if saved["detector"] == self._detector:
                self._entries = saved["faces"]

    def detect(self, image: Image) -> Faces:
        """Boxes and scores as YuNet gives them; no keypoints."""
        key = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).hexdigest()
        if key not in self._entries:
            found = self._yunet.detect(image)
            rows = np.column_stack([found.boxes, found.scores])
            self._entries[key] = rows.astype(np.float64).tolist()
        rows = np.array(self._entries[key], np.float32).reshape(-1, 5)
        return Faces(rows[:, :4], rows[:, 4])

    def save(self) -> None:
        """Write the file."""
        write_text(self._path, json.dumps({"detector": self._detector, "faces": self._entries}))
