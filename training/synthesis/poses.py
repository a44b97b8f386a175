# SPDX-License-Identifier: Apache-2.0
"""Which way heads are turned: drawn as it comes about, then said in the paper's angles.

A head turns about its upright axis, and the camera looks at it from above or below and may be
held askew: ``R = Rz(tilt) Rx(-elevation) Ry(turn)`` in the optical frame. The three are
independent of each other; the paper's pitch and roll are not. On a profile a tilt of ten degrees
is a pitch and a roll of sixty at once, and drawn independently they would give heads that nobody
has. Heads are also bowed or raised about their own axis, which on a profile is a tilt:
``R Rx(-nod)``, said as turn, elevation and tilt again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.geometry.rotation import angles_from_matrix, matrix_from_angles

Rng = np.random.Generator

MAX_DEG = 93.0  # of each of the paper's angles: where the bins end
_TRIES = 1000


def sample_pose(rng: Rng) -> tuple[float, float, float]:
    """Turn, elevation and tilt in degrees of a head whose paper angles are all in range."""
    for _ in range(_TRIES):
        kind = rng.random()
        if kind < 0.16:  # where photos and renders agree the least
            turn = rng.choice((-1.0, 1.0)) * rng.uniform(42, 80)
        else:
            turn = rng.uniform(-96, 96) if kind < 0.48 else rng.normal(0, 38 if kind < 0.8 else 15)
        elevation = rng.normal(0, 11 if rng.random() < 0.85 else 34)
        tilt = rng.normal(0, 14 if rng.random() < 0.85 else 34)
        nod = rng.normal(-4, 8)
        pose = bowed((float(turn), float(elevation), float(tilt)), nod)
        if max(map(abs, pose)) < 100 and np.abs(paper_angles(pose)).max() <= MAX_DEG:
            return pose
    raise RuntimeError(f"no pose in range within {_TRIES} draws")


def bowed(pose: tuple[float, float, float], nod: float) -> tuple[float, float, float]:
    """The pose of the same head, raised by ``nod`` degrees about its own axis through the ears."""
    turn, elevation, tilt = pose
    R = matrix_from_angles((0, 0, tilt)) @ matrix_from_angles((0, elevation, 0))
    R = R @ matrix_from_angles((turn, 0, 0)) @ matrix_from_angles((0, nod, 0))
    a, b, c = _pose_of(R).tolist()
    return a, b, c


def paper_angles(pose: ArrayLike) -> NDArray[np.float64]:
    """The paper's yaw, pitch and roll (3,) of a pose (3,): turn, elevation, tilt; degrees.

    Of the two triples that stand for one rotation the one with the smaller pitch, so that the
    yaw may pass 90 degrees.
    """
    turn, elevation, tilt = np.asarray(pose, np.float64)
    R = matrix_from_angles((0, 0, tilt)) @ matrix_from_angles((0, elevation, 0))
    yaw, pitch, roll = angles_from_matrix(R @ matrix_from_angles((turn, 0, 0)))
    if abs(pitch) > 90:
        yaw = np.copysign(180, yaw) - yaw
        pitch, roll = (angle - np.copysign(180, angle) for angle in (pitch, roll))
    return np.array([yaw, pitch, roll])


def pose_from_angles(angles_deg: ArrayLike) -> NDArray[np.float64]:
    """Turn, elevation and tilt (3,) of the paper's angles (3,); degrees, turn in +-180."""
    return _pose_of(matrix_from_angles(angles_deg))


def _pose_of(R: NDArray[np.float64]) -> NDArray[np.float64]:
    elevation = np.arcsin(np.clip(-R[2, 1], -1, 1))
    tilt, turn = np.arctan2(-R[0, 1], R[1, 1]), np.arctan2(-R[2, 0], R[2, 2])
    return np.degrees([turn, elevation, tilt])
