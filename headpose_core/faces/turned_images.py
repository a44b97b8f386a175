# SPDX-License-Identifier: Apache-2.0
"""Faces that lie on their side: a detector that also looks at the image in quarter turns."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.images.image_view import ImageView
from headpose_core.types import Faces

_TURNS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


def find_at_any_turn(find: Callable[[ImageView], Faces], view: ImageView) -> Faces:
    """What ``find`` finds in an image or, when that is nothing, in the image turned by 90, 180 and
    270 degrees, of which the one with the best score counts.

    Boxes and keypoints are in the image as it came. Without a face that takes four times as long.
    """
    best = find(view)
    if len(best):
        return best
    for turn in _TURNS:
        found = find(ImageView(np.asarray(cv2.rotate(view.rgb(), turn), np.uint8)))
        if len(found) and (not len(best) or found.scores[0] > best.scores[0]):
            best = _turned_back(found, turn, view.shape[1], view.shape[0])
    return best


def _turned_back(faces: Faces, turn: int, width: int, height: int) -> Faces:
    """Faces of the image turned by ``turn``, in the pixels of the image of that size."""

    def back(points: NDArray[np.float32]) -> NDArray[np.float32]:
        x, y = points[..., 0], points[..., 1]
        if turn == cv2.ROTATE_180:
            return np.stack([width - x, height - y], axis=-1)
        if turn == cv2.ROTATE_90_CLOCKWISE:
            return np.stack([y, height - x], axis=-1)
        return np.stack([width - y, x], axis=-1)

    corners = back(faces.boxes.reshape(-1, 2, 2))
    boxes = np.hstack([corners.min(axis=1), corners.max(axis=1)])
    keypoints = None if faces.keypoints is None else back(faces.keypoints)
    return Faces(boxes, faces.scores, keypoints)
