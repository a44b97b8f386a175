# SPDX-License-Identifier: Apache-2.0
"""Quaternions x, y, z, w, as ROS has them, and rotation matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from headpose_core.geometry.rotation import matrices_of
from headpose_core.types import FloatArray


def quaternion_from_matrix(rotation: ArrayLike) -> FloatArray:
    """Unit quaternion (x, y, z, w) with w >= 0 of (..., 3, 3) rotation matrices."""
    R = np.asarray(rotation, np.float64)
    xx, yy, zz = R[..., 0, 0], R[..., 1, 1], R[..., 2, 2]
    xy, xz, yz = (
        R[..., 1, 0] + R[..., 0, 1],
        R[..., 0, 2] + R[..., 2, 0],
        R[..., 2, 1] + R[..., 1, 2],
    )
    wx, wy, wz = (
        R[..., 2, 1] - R[..., 1, 2],
        R[..., 0, 2] - R[..., 2, 0],
        R[..., 1, 0] - R[..., 0, 1],
    )
    # Each row is the quaternion times four of its own component: take the best conditioned one.
    rows = (
        (1 + xx - yy - zz, xy, xz, wx),
        (xy, 1 - xx + yy - zz, yz, wy),
        (xz, yz, 1 - xx - yy + zz, wz),
        (wx, wy, wz, 1 + xx + yy + zz),
    )
    products = matrices_of(rows)
    best = np.argmax(np.diagonal(products, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(products, best[..., None, None], axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.asarray(np.where(q[..., 3:] < 0, -q, q))


def matrix_from_quaternion(quaternion: ArrayLike) -> FloatArray:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4) x, y, z, w of any length but 0."""
    q = np.asarray(quaternion, np.float64)
    x, y, z, w = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return matrices_of(rows)
