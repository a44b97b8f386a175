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
    """Settings of all detectors. Turns are quarters: 1 is by 90 degrees."""

    score_threshold: float = setting(
        0.6, "Least score of a face; 0.9 finds 40 % fewer.", limits=(0.0, 1.0)
    )
    min_face_size: float = setting(
        24.0,
        "A face whose box has a shorter long side is dropped: there is too little to see.",
        unit="px",
        limits=(0.0, 10000.0),
    )
    max_side: int = setting(
        640, "Larger images are shrunk to this to find faces.", unit="px", limits=(32, 8192)
    )
    image_turn: int = setting(
        0,
        "Degrees by which the image has to be turned clockwise to be upright: 0, 90, 180 or 270, "
        "for a camera that hangs or lies on its side.",
        limits=(0, 270),
        step=90,
    )
    turns: int = setting(
        1,
        "Orientations in which faces are looked for: 1 upright, 2 upside down too, 3 on either "
        "side too, 4 all; each costs a detection.",
        limits=(1, 4),
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
