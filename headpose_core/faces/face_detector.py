# SPDX-License-Identifier: Apache-2.0
"""What every face detector is: an ``ImageView`` to ``Faces``, by settings that may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from headpose_core.images.image_view import ImageView
from headpose_core.settings import Settings, setting
from headpose_core.types import Faces


@dataclass(frozen=True)
class DetectorSettings(Settings):
    """Settings of all detectors. A score threshold of 0.9, OpenCV's default, loses 40 % of the
    faces in photos."""

    score_threshold: float = setting(
        0.6, "Least score of a face; 0.9 finds 40 % fewer.", limits=(0.0, 1.0)
    )
    min_face_size: float = setting(
        24.0,
        "A face whose box has a shorter long side is dropped.",
        unit="px",
        limits=(0.0, 10000.0),
    )
    max_side: int = setting(
        640, "Larger images are shrunk to this to find faces.", unit="px", limits=(32, 8192)
    )
    rotation_retry: bool = setting(
        False, "Look again in the image turned by 90, 180 and 270 degrees when nothing is found."
    )

    def accepted(self, faces: Faces) -> Faces:
        """The faces that reach ``score_threshold`` and ``min_face_size``."""
        sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1, initial=0)
        return faces[(faces.scores >= self.score_threshold) & (sides >= self.min_face_size)]


class FaceDetector(Protocol):
    """Anything that finds faces in an image.

    settings: may be replaced between two images; the pipeline then detects anew.
    """

    settings: DetectorSettings

    def detect(self, view: ImageView) -> Faces:
        """Faces in an image, best score first, boxes not clipped to it."""
        ...
