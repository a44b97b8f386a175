# SPDX-License-Identifier: Apache-2.0
"""Which face is which from image to image: ids by where each face should be by now.

A face is expected where its motion takes it; all faces and all boxes of an image are matched at
once. So faces keep their ids when they cross, and when a box is missing for a while.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from headpose_core.faces.assignment import assign
from headpose_core.faces.boxes import box_distances
from headpose_core.faces.face_tracker import Track, TrackerSettings
from headpose_core.types import FloatArray

# A letter first; no digit last, since a number follows: "cam" and "cam1" would both get to cam11.
ID_PREFIX = "[A-Za-z]([A-Za-z0-9_]*[A-Za-z_])?"

# How far a box may lie from where it was expected: of its side, and sides per second since the
# face was seen, up to a limit. Somebody who walks past moves ten sides in a second at most.
_REACH, _REACH_PER_S, _REACH_MAX = 0.7, 2.0, 1.5
# Time constants: of the average that the velocity is, and of its end when nothing is seen.
_VELOCITY_S, _COASTING_S = 0.1, 0.5
# Images without a face that is given up while the stamps stand still: no gap can be measured.
_MAX_MISSED = 100
# Images that come slowly are still a stream: a face in one and in the next keeps its id. How long
# the next may take, in periods between images, and the longest period for which that holds.
_UNEVEN, _LONGEST_PERIOD_S = 1.5, 2.0


@dataclass
class _Face:
    """A face that is followed.

    box: (4,) x1, y1, x2, y2 pixels, velocity: (2,) pixels per second of its middle, both when it
    was last seen, at the stamp ``seen_s``. hits: images that showed it. missed: images since then
    whose stamp had not advanced.
    """

    face_id: str
    box: FloatArray
    seen_s: float
    velocity: FloatArray = field(default_factory=lambda: np.zeros(2))
    age: int = 1
    hits: int = 1
    missed: int = 0

    def see(self, box: FloatArray, expected: FloatArray, stamp_s: float) -> None:
        """It is here now, where a box (4,) was expected."""
        passed_s = stamp_s - self.seen_s
        if passed_s > 0.0:
            off = (box - expected).reshape(2, 2).mean(axis=0)
            share = 1.0 - math.exp(-passed_s / _VELOCITY_S) if self.hits > 1 else 1.0
            self.velocity = self.velocity + share * off / passed_s
        self.box, self.seen_s, self.missed = box, stamp_s, 0
        self.hits += 1


class Tracker:
    """Gives each face an id and keeps it from image to image.

    id_prefix: matches ``ID_PREFIX``; one per camera keeps ids apart. settings: those of
    ``TrackerSettings``, by name. Raises ValueError for anything else.
    """

    def __init__(self, id_prefix: str = "f", **settings: Any) -> None:
        if not re.fullmatch(ID_PREFIX, id_prefix, re.ASCII):
            raise ValueError(
                "id_prefix: expected a letter, then letters, digits or '_', and no digit at the "
                f"end, got '{id_prefix}'"
            )
        self.settings = TrackerSettings(**settings)
        self._prefix = id_prefix
        self._count = 0
        self.reset()

    def reset(self) -> None:
        """Forget all faces. Their ids are not given again."""
        self._faces: list[_Face] = []
        self._stamp_s = -math.inf
        self._period_s: float | None = None  # between the last two images

    def interrupted(self, stamp_s: float) -> bool:
        """Whether no face keeps its id in an image at ``stamp_s``: it is too late or too early."""
        return not 0.0 <= stamp_s - self._stamp_s <= self._longest_gap_s(stamp_s)

    def update(self, stamp_s: float, boxes: ArrayLike) -> list[Track]:
        """Recognise the faces of the next image.

        stamp_s: seconds, of the image; when it goes back, as in a bag that loops, all tracks
        begin anew. boxes: (N, 4) x1, y1, x2, y2 pixels. Returns one track per box, in their order.
        """
        if stamp_s < self._stamp_s:
            self.reset()
        longest_gap_s = self._longest_gap_s(stamp_s)
        self._faces = [
            face
            for face in self._faces
            if stamp_s - face.seen_s <= longest_gap_s and face.missed < _MAX_MISSED
        ]
        if -math.inf < self._stamp_s < stamp_s:
            self._period_s = stamp_s - self._stamp_s
        self._stamp_s = stamp_s
        for face in self._faces:
            face.age += 1
            face.missed += stamp_s <= face.seen_s
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        seen: dict[int, _Face] = {}
        expected = self._expected(stamp_s)
        for known, new in self._match(expected, boxes, stamp_s):
            seen[new] = self._faces[known]
            seen[new].see(boxes[new], expected[known], stamp_s)
        tracks = (seen.get(i) or self._begin(box, stamp_s) for i, box in enumerate(boxes))
        return [Track(f.face_id, f.age, f.hits >= self.settings.min_hits) for f in tracks]

    def _longest_gap_s(self, stamp_s: float) -> float:
        """Seconds since a face was last seen, up to which it keeps its id in the next image."""
        period_s = stamp_s - self._stamp_s if self._period_s is None else self._period_s
        return max(self.settings.max_gap_s, _UNEVEN * min(period_s, _LONGEST_PERIOD_S))

    def _begin(self, box: FloatArray, stamp_s: float) -> _Face:
        self._count += 1
        face = _Face(f"{self._prefix}{self._count}", box, stamp_s)
        self._faces.append(face)
        return face

    def _expected(self, stamp_s: float) -> FloatArray:
        """Where the boxes (K, 4) of the known faces should be; who is not seen comes to rest."""
        if not self._faces:
            return np.zeros((0, 4))
        unseen_s = stamp_s - np.array([face.seen_s for face in self._faces])
        coasted_s = _COASTING_S * (1.0 - np.exp(-unseen_s / _COASTING_S))
        moved = np.array([face.velocity for face in self._faces]) * coasted_s[:, None]
        return np.array([face.box for face in self._faces]) + np.tile(moved, 2)

    def _match(
        self, expected: FloatArray, boxes: FloatArray, stamp_s: float
    ) -> list[tuple[int, int]]:
        """Pairs of a known face and a box (N, 4), of all at once, each used once at most."""
        distance = box_distances(expected, boxes)
        unseen_s = np.array([[stamp_s - face.seen_s] for face in self._faces]).reshape(-1, 1)
        reach = np.minimum(_REACH + _REACH_PER_S * unseen_s, _REACH_MAX)
        # A face that stays away costs as much as the farthest match that is allowed.
        rows, columns = assign(np.minimum(distance, reach))
        allowed = distance[rows, columns] < reach[rows, 0]
        return list(zip(rows[allowed].tolist(), columns[allowed].tolist(), strict=True))
