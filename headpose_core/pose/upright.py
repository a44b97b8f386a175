# SPDX-License-Identifier: Apache-2.0
"""Which way up each face is, by what the network says of its crop.

A network that has learned upright faces is unsure of turned ones, in a way that tells how far they
are turned. So a crop is seen first as its head was turned in the last image; only where the
network finds that unlikely, it is shown in the other quarter turns as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headpose_core.pose.pose_model import PoseModel
from headpose_core.types import FloatArray

_DOUBTFUL = 0.7  # a crop that is upright with less than this is looked at in other turns,
_ACCEPTED = 0.8  # until one of them has this
_AGAIN_S = 1.0  # a face that stays doubtful is asked about so often,
_WORSE = 0.2  # or when it has become so much more doubtful
_HYSTERESIS_DEG = 55.0  # of the roll that is left, more than the 45 of the nearest quarter turn


@dataclass(frozen=True)
class _Face:
    """What is known of a face: its clockwise quarter turns, when it was last looked at in other
    turns, and how likely it was upright then."""

    quarters: int
    asked_s: float = -math.inf
    upright: float = 1.0

    def is_due(self, upright: float, stamp_s: float) -> bool:
        """Whether to look at other turns of a crop that is upright with this probability."""
        again = not 0.0 <= stamp_s - self.asked_s < _AGAIN_S or upright < self.upright - _WORSE
        return upright < _DOUBTFUL and again


class UprightSearch:
    """Finds the turn of each face and remembers it along its track."""

    def __init__(self) -> None:
        self._faces: dict[str, _Face] = {}

    def infer(
        self,
        model: PoseModel,
        crops: NDArray[np.uint8],
        ids: Sequence[str],
        stamp_s: float,
        first: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Outputs (N, ...) of crops (N, S, S, 3) turned upright, and by how many quarters (N,).

        ids: of the tracks, "" where there are none. first: quarter turns of new faces.
        """
        known = [self._faces.get(face_id) or _Face(first) for face_id in ids]
        expected = np.array([face.quarters for face in known], np.intp)
        outputs = model.infer(_turned(crops, expected))
        likely = model.turn_probabilities(outputs)
        if likely is None:
            return outputs, expected
        quarters, upright = expected.copy(), likely[:, 0].copy()
        due = np.flatnonzero([f.is_due(p, stamp_s) for f, p in zip(known, upright, strict=True)])
        for turn in np.argsort(-likely[:, 1:], axis=1).T + 1:  # the most likely one first
            left = due[upright[due] < _ACCEPTED]
            if not len(left):
                break
            tried = (expected[left] + turn[left]) % 4
            found = model.infer(_turned(crops[left], tried))
            chance = np.asarray(model.turn_probabilities(found))[:, 0]
            better = chance > upright[left]
            changed = left[better]
            outputs[changed], quarters[changed] = found[better], tried[better]
            upright[changed] = chance[better]
        for i in due:
            known[i] = _Face(int(quarters[i]), stamp_s, float(upright[i]))
        self._faces = {face_id: face for face_id, face in zip(ids, known, strict=True) if face_id}
        return outputs, quarters

    def follow(self, ids: Sequence[str], rotations: FloatArray) -> None:
        """Turn the next crops of these faces by their rolls in this image.

        rotations: (N, 3, 3) head to optical axes about the viewing rays.
        """
        rolls = np.degrees(np.arctan2(-rotations[:, 0, 1], rotations[:, 1, 1]))
        for face_id, roll in zip(ids, rolls, strict=True):
            face = self._faces.get(face_id)
            if face is None:
                continue
            rest = (roll + 90.0 * face.quarters + 180.0) % 360.0 - 180.0
            if abs(rest) > _HYSTERESIS_DEG:
                self._faces[face_id] = replace(face, quarters=round(-roll / 90.0) % 4)

    def reset(self) -> None:
        """Forget all faces."""
        self._faces.clear()


def _turned(crops: NDArray[np.uint8], quarters: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Crops (N, S, S, 3), each turned clockwise by its quarters (N,)."""
    if not quarters.any():
        return crops
    return np.stack([np.rot90(crop, -turn) for crop, turn in zip(crops, quarters, strict=True)])
