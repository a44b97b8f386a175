# SPDX-License-Identifier: Apache-2.0
"""Which face is which from image to image: ids by the overlap of boxes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from headpose_core.types import FloatArray

# Heads move less than half a box between two images of a video at 10 Hz or more.
_MIN_IOU = 0.2
# Bounds the memory of a track when the stamps stand still and no gap can be measured.
_MAX_MISSED = 1000


@dataclass(frozen=True)
class Track:
    """What the tracker knows about one face in this image.

    face_id: prefix and number, constant along the track, never given twice by one tracker.
    age: images since the track began, 1 in its first one.
    confirmed: it has been seen in ``min_hits`` images.
    """

    face_id: str
    age: int
    confirmed: bool


@dataclass(frozen=True)
class TrackerSettings:
    """What may change from one image to the next.

    max_gap_s: seconds that a face may be missing and still keep its id.
    min_hits: images in which it must have been seen to be confirmed.
    """

    max_gap_s: float
    min_hits: int

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_gap_s < math.inf:
            raise ValueError(f"max_gap_s: expected 0 seconds or more, got {self.max_gap_s}")
        if self.min_hits < 1:
            raise ValueError(f"min_hits: expected 1 or more, got {self.min_hits}")


@dataclass
class _Face:
    """A face that is followed; ``seen_s`` is the stamp of the last image that showed it."""

    face_id: str
    box: FloatArray
    seen_s: float
    age: int = 1
    hits: int = 1
    missed: int = 0


class Tracker:
    """Gives each face an id and keeps it while the boxes of successive images overlap.

    id_prefix: begins with a letter, then letters, digits and "_"; one per camera keeps ids apart.
    The rest: see ``TrackerSettings``. Raises ValueError for anything else.
    """

    def __init__(self, max_gap_s: float = 0.3, min_hits: int = 2, id_prefix: str = "f") -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", id_prefix, re.ASCII):
            raise ValueError(
                f"id_prefix: expected a letter, then letters, digits or '_', got '{id_prefix}'"
            )
        self.settings = TrackerSettings(max_gap_s, min_hits)
        self._prefix = id_prefix
        self._count = 0
        self.reset()

    def configure(self, **changes: Any) -> None:
        """Change settings by name from the next image on: all that are given or, on error, none.

        Raises ValueError with the range for a bad value, TypeError for an unknown name.
        """
        self.settings = replace(self.settings, **changes)

    def reset(self) -> None:
        """Forget all faces. Their ids are not given again."""
        self._faces: list[_Face] = []
        self._stamp_s = -math.inf

    def update(self, stamp_s: float, boxes: ArrayLike) -> list[Track]:
        """Recognise the faces of the next image.

        stamp_s: seconds, of the image; when it goes back, as in a bag that loops, all tracks
        begin anew. boxes: (N, 4) x1, y1, x2, y2 pixels. Returns one track per box, in their order.
        """
        if stamp_s < self._stamp_s:
            self.reset()
        self._stamp_s = stamp_s
        settings = self.settings
        self._faces = [
            face
            for face in self._faces
            if stamp_s - face.seen_s <= settings.max_gap_s and face.missed < _MAX_MISSED
        ]
        for face in self._faces:
            face.age += 1
            face.missed += 1
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        seen = self._match(boxes)
        for i, box in enumerate(boxes):
            if i in seen:
                face = seen[i]
                face.box, face.seen_s, face.missed = box, stamp_s, 0
                face.hits += 1
            else:
                seen[i] = self._begin(box, stamp_s)
        tracks = (seen[i] for i in range(len(boxes)))
        return [Track(f.face_id, f.age, f.hits >= settings.min_hits) for f in tracks]

    def _begin(self, box: FloatArray, stamp_s: float) -> _Face:
        self._count += 1
        face = _Face(f"{self._prefix}{self._count}", box, stamp_s)
        self._faces.append(face)
        return face

    def _match(self, boxes: FloatArray) -> dict[int, _Face]:
        """Known face per index of a box: the pair that overlaps most first, each used once."""
        if not self._faces or not len(boxes):
            return {}
        overlap = iou(np.stack([face.box for face in self._faces]), boxes)
        matches: dict[int, _Face] = {}
        while overlap.max() >= _MIN_IOU:
            known, new = np.unravel_index(int(overlap.argmax()), overlap.shape)
            matches[int(new)] = self._faces[known]
            overlap[known, :] = overlap[:, new] = -1.0
        return matches


def iou(first: ArrayLike, second: ArrayLike) -> FloatArray:
    """Intersection over union of all pairs: boxes (N, 4) and (M, 4) x1, y1, x2, y2 -> (N, M)."""
    a = np.asarray(first, np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, np.float64).reshape(1, -1, 4)
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    common = np.maximum(high - low, 0.0).prod(axis=-1)
    area_a, area_b = (np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (a, b))
    return np.asarray(common / np.maximum(area_a + area_b - common, np.finfo(float).tiny))
