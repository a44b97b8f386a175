# SPDX-License-Identifier: Apache-2.0
"""Which faces are kept where there are more than wanted, and which of them comes first.

The most prominent: side of the box (square root of its area) times the cube of the score, 1.25 to
1.5 times for a face that was kept in the images before. A steering wheel is large, but the
detector is not sure of it; and who was kept once is not given up for somebody like her.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headpose_core.faces.boxes import iou
from headpose_core.types import Faces

_SCORE_POWER = 3.0
_BONUS, _BONUS_IMAGES = 0.5, 10  # for a face that was kept in so many images, half of it at once
_SAME_IOU = 0.3
_MISSED_IMAGES = 5  # for which a face that is not found keeps its bonus


@dataclass(frozen=True)
class _Kept:
    """Faces kept before: boxes (N, 4), in how many images (N,), not found since (N,) images."""

    boxes: NDArray[np.float32]
    ages: NDArray[np.intp]
    missed: NDArray[np.intp]


class Prominence:
    """Chooses and orders the faces of an image stream."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget which faces were kept."""
        none = np.zeros(0, np.intp)
        self._kept = _Kept(np.zeros((0, 4), np.float32), none, none)

    def choose(self, faces: Faces, count: int) -> Faces:
        """The ``count`` most prominent faces of the next image, the most prominent first."""
        before, n = self._kept, len(faces)
        overlap = iou(before.boxes, faces.boxes) >= _SAME_IOU
        ages = np.where(overlap, before.ages[:, None], 0).max(axis=0, initial=0)
        sides = np.sqrt(np.prod(faces.boxes[:, 2:] - faces.boxes[:, :2], axis=1))
        long = np.minimum(ages, _BONUS_IMAGES) / _BONUS_IMAGES
        followed = 1.0 + _BONUS * np.where(ages > 0, (1.0 + long) / 2, 0.0)
        values = sides * faces.scores**_SCORE_POWER * followed
        chosen = np.argsort(-values, kind="stable")[: min(count, n)]
        gone = ~overlap.any(axis=1) & (before.missed < _MISSED_IMAGES)
        self._kept = _Kept(
            np.concatenate([faces.boxes[chosen], before.boxes[gone]]),
            np.concatenate([ages[chosen] + 1, before.ages[gone]]),
            np.concatenate([np.zeros(len(chosen), np.intp), before.missed[gone] + 1]),
        )
        return faces[chosen]
