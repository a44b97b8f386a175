# SPDX-License-Identifier: Apache-2.0
"""Where the camera stands: the one place where pose, lens and label meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headpose_core.geometry.rotation import matrix_from_angles
from training.synthesis.geometry import Head
from training.synthesis.scene import Scene
from training.synthesis.zero_pose import OPTICAL_TO_VIEW, ZERO_POSE

DM_PER_M = 10.0


@dataclass(frozen=True)
class Camera:
    """A point p of the head is at ``rotation @ (p - centre) + shift`` in view axes, dm.

    rotation (3,3); centre, shift (3,); focal_px: focal length; principal_px: principal point from
    the middle of the square frame, x right, y down.
    """

    rotation: NDArray[np.float64]
    centre: NDArray[np.float64]
    shift: NDArray[np.float64]
    focal_px: float
    principal_px: tuple[float, float]


def place_camera(head: Head, scene: Scene, frame_size: int) -> tuple[Camera, NDArray[np.float64]]:
    """Put the head before the camera so that its label is exact.

    The centre of the face's projected box lies on the optical axis, so the rotation about the
    viewing ray is the rotation itself; the principal point then moves the picture in the frame.
    frame_size: side of the frame in pixels. Returns the camera and the projected landmarks (68,2)
    in frame pixels.
    """
    optical = matrix_from_angles(scene.angles_deg)
    rotation = OPTICAL_TO_VIEW @ optical @ OPTICAL_TO_VIEW @ ZERO_POSE
    marks = (head.landmarks - head.centre) @ rotation.T
    distance = scene.distance_m * DM_PER_M
    shift = np.array([0.0, 0.0, -distance])
    for _ in range(3):
        seen = marks + shift
        flat = seen[:, :2] / -seen[:, 2:]
        shift[:2] -= (flat.min(0) + flat.max(0)) / 2 * distance
    seen = marks + shift
    flat = seen[:, :2] / -seen[:, 2:]
    focal = float(scene.face_share * frame_size / (flat.max(0) - flat.min(0)).max())
    dx, dy = scene.offset_share
    principal = (dx * frame_size, dy * frame_size)
    points = flat * (focal, -focal) + np.array(principal) + frame_size / 2
    return Camera(rotation, head.centre.astype(float), shift, focal, principal), points
