# SPDX-License-Identifier: Apache-2.0
"""The meaning of the angles: the paper's, the rotation matrix's and REP-103's.

Paper (and 300W-LP) angles, in degrees: yaw > 0 turns the nose toward the image's left, pitch > 0
lifts it, roll > 0 turns the head clockwise in the image. With x right, y down and z forward (the
optical frame of ROS) they stand for ``R = Rx(-pitch) Ry(yaw) Rz(roll)``, which takes the axes of
the head into the optical frame and is the identity for a face that looks into the camera.

REP-103 gives a body x forward, y left, z up; here x leaves the face, y points to the person's
left and z to the crown. ``R @ BODY_TO_OPTICAL`` has those axes as columns.

Arrays may have any leading shape; all results are float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from headpose_core.types import FloatArray

BODY_TO_OPTICAL: FloatArray = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
BODY_TO_OPTICAL.flags.writeable = False


def matrix_from_angles(angles_deg: ArrayLike) -> FloatArray:
    """Rotation matrix of the paper's angles.

    angles_deg: (..., 3) yaw, pitch, roll in degrees. Returns (..., 3, 3).
    """
    (sy, sp, sr), (cy, cp, cr) = _sines_and_cosines(angles_deg)
    rows = (
        (cy * cr, -cy * sr, sy),
        (cp * sr - sp * sy * cr, cp * cr + sp * sy * sr, sp * cy),
        (-sp * sr - cp * sy * cr, -sp * cr + cp * sy * sr, cp * cy),
    )
    return matrices_of(rows)


def angles_from_matrix(rotation: ArrayLike) -> FloatArray:
    """The paper's angles of a rotation matrix; the inverse of ``matrix_from_angles``.

    rotation: (..., 3, 3). Returns (..., 3) yaw, pitch, roll in degrees with yaw in [-90, 90].
    At 90 degrees of yaw pitch and roll turn about one axis: all of it is called pitch there.
    """
    R = np.asarray(rotation, np.float64)
    sin_yaw = np.clip(R[..., 0, 2], -1.0, 1.0)
    regular = np.hypot(R[..., 0, 0], R[..., 0, 1]) > 1e-7
    pitch = np.where(
        regular,
        np.arctan2(R[..., 1, 2], R[..., 2, 2]),
        np.arctan2(-np.sign(sin_yaw) * R[..., 1, 0], R[..., 1, 1]),
    )
    roll = np.where(regular, np.arctan2(-R[..., 0, 1], R[..., 0, 0]), 0.0)
    return np.asarray(np.degrees(np.stack([np.arcsin(sin_yaw), pitch, roll], axis=-1)))


def mirror_angles(angles_deg: ArrayLike) -> FloatArray:
    """The paper's angles, (..., 3) degrees, in the image flipped left to right."""
    return np.asarray(angles_deg, np.float64) * (-1.0, 1.0, -1.0)


def rep103_angles(rotation: ArrayLike) -> FloatArray:
    """Angles of the message: intrinsic Z-Y-X yaw, pitch, roll in the body axes of REP-103.

    rotation: (..., 3, 3), head to optical axes. Returns (..., 3) radians: yaw > 0 turned to the
    person's left, pitch > 0 nose down, roll > 0 toward the right shoulder.
    """
    M = BODY_TO_OPTICAL.T @ np.asarray(rotation, np.float64) @ BODY_TO_OPTICAL
    yaw = np.arctan2(M[..., 1, 0], M[..., 0, 0])
    pitch = -np.arcsin(np.clip(M[..., 2, 0], -1.0, 1.0))
    roll = np.arctan2(M[..., 2, 1], M[..., 2, 2])
    return np.stack([yaw, pitch, roll], axis=-1)


def quarter_turns(quarters: ArrayLike) -> FloatArray:
    """Rotations (N, 3, 3) that turn heads back from images turned clockwise by (N,) quarters."""
    angle = -np.pi / 2 * np.asarray(quarters, np.float64)
    sine, cosine, none = np.sin(angle).round(), np.cos(angle).round(), np.zeros_like(angle)
    return matrices_of(((cosine, -sine, none), (sine, cosine, none), (none, none, none + 1.0)))


def geodesic_deg(first: ArrayLike, second: ArrayLike) -> FloatArray:
    """Angle in degrees of the rotation between two (..., 3, 3) rotations."""
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    chord = np.linalg.norm(difference, axis=(-2, -1)) / np.sqrt(8.0)
    return np.asarray(np.degrees(2.0 * np.arcsin(np.minimum(chord, 1.0))))


def orientation_covariance(angles_deg: ArrayLike, std_deg: ArrayLike) -> FloatArray:
    """Covariance of the orientation from independent errors of the three angles.

    angles_deg, std_deg: (..., 3) degrees. Returns (..., 3, 3) rad^2 of the small rotation that
    separates the true head from the estimate, in the fixed optical axes: ``J diag(var) J^T``.
    """
    J = _axes_of_angles(angles_deg)
    variance = np.radians(np.asarray(std_deg, np.float64)) ** 2
    return np.asarray((J * variance[..., None, :]) @ np.swapaxes(J, -1, -2))


def angle_std_deg(angles_deg: ArrayLike, covariance: ArrayLike) -> FloatArray:
    """Standard deviations (..., 3) in degrees, at most 180, of the paper's angles.

    covariance: (..., 3, 3) rad^2 of their orientation; the way back of ``orientation_covariance``.
    """
    inverse = np.linalg.pinv(_axes_of_angles(angles_deg))
    of_angles = inverse @ np.asarray(covariance, np.float64) @ np.swapaxes(inverse, -1, -2)
    variance = np.diagonal(of_angles, axis1=-2, axis2=-1)
    return np.asarray(np.minimum(np.degrees(np.sqrt(np.maximum(variance, 0.0))), 180.0))


def _axes_of_angles(angles_deg: ArrayLike) -> FloatArray:
    """J (..., 3, 3): its columns are the axes about which yaw, pitch and roll turn the head."""
    (sy, sp, _), (cy, cp, _) = _sines_and_cosines(angles_deg)
    none, one = np.zeros_like(sy), np.ones_like(sy)
    return matrices_of(((none, -one, sy), (cp, none, sp * cy), (-sp, none, cp * cy)))


def _sines_and_cosines(angles_deg: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Of angles (..., 3): both (3, ...), yaw, pitch and roll."""
    angles = np.moveaxis(np.radians(np.asarray(angles_deg, np.float64)), -1, 0)
    return np.sin(angles), np.cos(angles)


def matrices_of(rows: tuple[tuple[FloatArray, ...], ...]) -> FloatArray:
    """Matrices (..., N, M) of their elements, (...) each, row by row."""
    return np.ascontiguousarray(np.moveaxis(np.array(rows), (0, 1), (-2, -1)))
