# SPDX-License-Identifier: Apache-2.0
"""The face box of a rendered head, as the run-time detector would draw it.

A network learns the crop it is shown: a box of another definition shifts with the pose and
biases it. So the box is the detector's own wherever it finds the rendered face, and elsewhere a
box fitted to the detector's boxes: linear in the pose, about the box of the 68 landmarks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.tracking import iou
from headpose_core.types import Faces
from training.synthesis.poses import pose_from_angles

MIN_OVERLAP = 0.45  # a detection that overlaps the fitted box less is something else

# Rows: shift of the centre in x and y, log of width and height, all over the landmark box's long
# side; columns: the terms of ``_terms``. Made by ``python -m training.synthesis.fit_boxes``.
# fmt: off
BOX_MODEL = np.array([
    [-0.0110, -0.0285, -0.0752, 0.0708, -0.0540, 0.0168, 0.0858, -0.0016,
     0.0603, 0.0736, 0.0168, -0.0001, -0.1209, 0.0059],
    [0.0986, 0.0055, -0.0185, 0.0011, 0.0825, 0.0777, -0.0092, 0.0876,
     -0.0961, 0.0094, -0.1998, -0.0015, 0.0071, 0.0505],
    [0.1083, 0.5033, 0.0815, -0.0627, -0.0232, -0.1006, 0.0537, 0.0183,
     0.0308, -0.0583, -0.1323, 0.0099, -0.0513, -0.2287],
    [0.1263, 0.1862, -0.0573, -0.0555, 0.0109, -0.2085, 0.0319, -0.0808,
     -0.0102, -0.0401, 0.2182, -0.0017, -0.0451, 0.0478],
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
