# SPDX-License-Identifier: Apache-2.0
"""Heads for the tests of what becomes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from headpose_core.geometry.camera_model import ray_rotation
from headpose_core.geometry.rotation import matrix_from_angles, orientation_covariance
from headpose_core.types import Frame, Head

ANGLES, STD = (20.0, -10.0, 5.0), (3.0, 6.0, 2.0)
POSITION = np.array([0.2, -0.1, 1.5])


def head(face_id: str = "f1", **fields: Any) -> Head:
    """A confirmed head beside the optical axis whose place is known."""
    R_ray = ray_rotation(POSITION / np.linalg.norm(POSITION))
    known: dict[str, Any] = {
        "box": np.array([100, 60, 180, 160], np.float32),
        "score": 0.75,
        "paper_angles_deg": np.array(ANGLES),
        "std_deg": np.array(STD),
        "extrapolated": False,
        "rotation": matrix_from_angles(ANGLES),
        "ray_rotation": R_ray,
        "covariance": R_ray @ orientation_covariance(ANGLES, STD) @ R_ray.T,
        "position": POSITION,
        "position_covariance": np.eye(3) * 1e-3,
        "perspective_corrected": True,
        "face_id": face_id,
        "track_age": 3,
        "confirmed": True,
    }
    return Head(**{**known, **fields})


def frame(*heads: Head, stamp_s: float = 1.0) -> Frame:
    return Frame(stamp_s, heads, {"detect": 3.0, "infer": 4.0})
