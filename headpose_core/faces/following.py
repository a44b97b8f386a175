# SPDX-License-Identifier: Apache-2.0
"""Faces between two detections: looked for where they were, by what they looked like.

Detection is most of the time of an image. A face that was found in the last one is near its old
place: a small grey picture of it, compared with its surroundings, says where, for a hundredth of
the time, and how well it fits says when it is lost (normalised cross-correlation; Lewis 1995).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.faces.face_detector import FaceDetector
from headpose_core.faces.prominence import Prominence
from headpose_core.images.crop import crop_faces, square_boxes
from headpose_core.images.image_view import ImageView
from headpose_core.types import Faces

# Pixels of the grey pictures: side of a face; side of its inner part, without hair and background,
# by which it is known; and how far that is looked for to each side.
_FACE, _INNER, _REACH = 32, 24, 12
_WINDOW = _INNER + 2 * _REACH
# Correlation below which a face counts as lost: then it explains less than half of what is seen.
LOST_BELOW = 0.7


class FaceFollower:
    """Finds the faces of an image stream without asking the detector each time."""

    def __init__(self) -> None:
        self._prominence = Prominence()
        self.reset()

    def reset(self) -> None:
        """Ask the detector in the next image: what is known says nothing about that one."""
        self._known: _Known | None = None
        self._prominence.reset()

    def find(self, detector: FaceDetector, view: ImageView, every: int, max_faces: int) -> Faces:
        """The most prominent faces: detected in every ``every``-th image, where one is lost and
        where settings have changed, followed in the others.

        Between detections boxes move but keep their size, the scores are the detector's times the
        correlation, and no new face is found; while there is none, every image is detected in.
        Between images that do not follow one another, or of different sizes, call ``reset``.
        """
        known, given = self._known, (detector.settings, max_faces)
        if known and known.given == given and known.age + 1 < every:
            found = _follow(view, known)
            if found is not None:
                return found
        faces = self._prominence.choose(detector.detect(view), max_faces)
        self._known = None
        if every > 1 and len(faces):
            inner = slice(_REACH, -_REACH)
            pictures = [grey[inner, inner] for grey in _surroundings(view, faces.boxes)]
            self._known = _Known(faces, pictures, given)
        return faces


@dataclass
class _Known:
    """The faces of the last image, what they looked like when they were detected, by which
    settings, and how many images ago that was."""

    faces: Faces
    pictures: list[NDArray[np.uint8]]
    given: object
    age: int = 0


def _follow(view: ImageView, known: _Known) -> Faces | None:
    """The known faces in this image, from where they were in the last one; None: one is lost."""
    last = known.faces
    pairs = zip(_surroundings(view, last.boxes), known.pictures, strict=True)
    places, fits = zip(*(_best_fit(grey, picture) for grey, picture in pairs), strict=True)
    if min(fits) < LOST_BELOW:
        return None
    moves = np.array(places, np.float32) * _window_sides(last.boxes)[:, None] / np.float32(_WINDOW)
    keypoints = None if last.keypoints is None else last.keypoints + moves[:, None]
    # The detector's scores stay: what fits is compared with the image they are of.
    known.faces = Faces(last.boxes + np.tile(moves, 2), last.scores, keypoints)
    known.age += 1
    return replace(known.faces, scores=last.scores * np.array(fits, np.float32))


def _surroundings(view: ImageView, boxes: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    """Each face in the middle of a grey picture (_WINDOW, _WINDOW), _FACE pixels of it."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = _window_sides(boxes)[:, None] / 2
    windows = square_boxes(np.hstack([centres - half, centres + half]))
    crops = crop_faces(view, windows, _WINDOW)
    return [np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8) for crop in crops]


def _window_sides(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Side (N,) in pixels of the square in which each face is looked for."""
    longest = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    return np.asarray(longest * (_WINDOW / _FACE), np.float32)


def _best_fit(
    grey: NDArray[np.uint8], picture: NDArray[np.uint8]
) -> tuple[tuple[float, float], float]:
    """Where a picture fits best: (x, y) from the middle, in its pixels, and the correlation."""
    fit = np.asarray(cv2.matchTemplate(grey, picture, cv2.TM_CCOEFF_NORMED), np.float32)
    _, best, _, (x, y) = cv2.minMaxLoc(fit)
    place = x + _vertex(fit[y], x) - _REACH, y + _vertex(fit[:, x], y) - _REACH
    return place, min(best, 1.0)


def _vertex(values: NDArray[np.float32], peak: int) -> float:
    """Where the parabola through a peak and its neighbours is highest, -0.5 to 0.5 beside it."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    before, at, after = (float(value) for value in values[peak - 1 : peak + 2])
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
