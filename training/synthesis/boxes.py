# SPDX-License-Identifier: Apache-2.0
"""The face box of a rendered head, as the run-time detector would draw it.

A network learns the crop it is shown: a box of another definition shifts with the pose and
biases it. So the box is the detector's own wherever it finds the rendered face, and elsewhere a
box fitted to the detector's boxes: linear in the pose, about the box of the 68 landmarks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.faces.boxes import iou
from headpose_core.types import Faces
from training.synthesis.poses import pose_from_angles

MIN_OVERLAP = 0.45  # a detection that overlaps the fitted box less is something else

# Rows: shift of the centre in x and y, log of width and height, all over the landmark box's long
# side; columns: the terms of ``_terms``. Made by ``python -m training.synthesis.fit_boxes``.
# fmt: off
BOX_MODEL = np.array([
    [0.0583, 0.0010, -0.1074, 0.0829, -0.0815, -0.0070, 0.0813, 0.0891,
     0.0830, 0.0614, -0.0296, -0.0135, -0.1244, -0.0985],
    [0.1834, 0.0066, -0.0505, 0.0090, -0.1820, 0.1338, -0.0099, 0.1291,
     0.1895, 0.0565, -0.2757, -0.0066, 0.0073, 0.0420],
    [0.1136, 0.5730, 0.0575, -0.0890, 0.1335, -0.1130, 0.0234, -0.2197,
     -0.1229, -0.0388, -0.1099, 0.0430, -0.0169, 0.0162],
    [-0.0524, 0.2239, -0.0186, -0.1031, 0.2190, -0.2822, 0.0124, -0.1676,
     -0.2356, -0.0329, 0.4051, 0.0191, -0.0190, 0.1589],
])
# fmt: on


def landmark_box(points: ArrayLike) -> NDArray[np.float64]:
    """The tight box (4,) x1, y1, x2, y2 about points (N,2)."""
    p = np.asarray(points, np.float64)
    return np.concatenate([p.min(0), p.max(0)])


def _terms(box: NDArray[np.float64], angles_deg: ArrayLike) -> NDArray[np.float64]:
    """Features of the box model: smooth in the pose, and the landmark box's proportions."""
    yaw, pitch, roll = np.radians(pose_from_angles(angles_deg))
    sy, cy, sp = np.sin(yaw), np.cos(yaw), np.sin(pitch)
    sr, cr = np.sin(roll), np.cos(roll)
    width, height = box[2:] - box[:2]
    aspect = np.log(width / height)
    plain = [1, aspect, cy, cy * cy, sp, sp * sp]
    # What turns with the head in the image plane carries cos or sin of the roll.
    turning = [sy * cr, sy * sr, sp * cr, sp * sr, cr, sr, sy * cy * cr, sy * cy * sr]
    return np.array(plain + turning)


def fitted_box(points: ArrayLike, angles_deg: ArrayLike) -> NDArray[np.float64]:
    """The box (4,) the detector would draw. points (68,2): projected landmarks in pixels;
    angles_deg (3,): the pose."""
    box = landmark_box(points)
    size = (box[2:] - box[:2]).max()
    shift_x, shift_y, log_w, log_h = BOX_MODEL @ _terms(box, angles_deg)
    centre = (box[:2] + box[2:]) / 2 + size * np.array([shift_x, shift_y])
    half = size * np.exp([log_w, log_h]) / 2
    return np.concatenate([centre - half, centre + half])


def box_targets(
    detected: ArrayLike, points: ArrayLike, angles_deg: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Terms (14,) and the values (4,) that the model should give for a detected box (4,)."""
    box, found = landmark_box(points), np.asarray(detected, np.float64)
    size = (box[2:] - box[:2]).max()
    shift = ((found[:2] + found[2:]) - (box[:2] + box[2:])) / 2 / size
    return _terms(box, angles_deg), np.concatenate([shift, np.log((found[2:] - found[:2]) / size)])


def choose_box(faces: Faces, fitted: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """The detection (4,) that overlaps the fitted box most, and True; or the fitted box, False."""
    overlaps = iou(faces.boxes, fitted)
    if overlaps.size and overlaps.max() >= MIN_OVERLAP:
        return faces.boxes[int(overlaps.argmax())].astype(np.float64), True
    return fitted, False
