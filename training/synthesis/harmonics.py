# SPDX-License-Identifier: Apache-2.0
"""Light from all around as a polynomial of the direction: nine colours.

Spherical harmonics up to the second degree hold what a matt surface sees of its surroundings
(Ramamoorthi and Hanrahan, SIGGRAPH 2001). They are kept as coefficients (9,3) of the terms of
``terms``, so that evaluating them takes no constants, on the GL device neither.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.synthesis.lighting import Triple

Floats = NDArray[np.float64]

# Norms of the real harmonics over ``terms``, and what a matt surface keeps of each degree.
_NORMS = np.sqrt(np.array([1, 3, 3, 3, 15, 15, 5 / 4, 15, 15 / 4]) / (4 * np.pi))
_KEPT = np.array([1, 2 / 3, 2 / 3, 2 / 3, 1 / 4, 1 / 4, 1 / 4, 1 / 4, 1 / 4])


def terms(directions: ArrayLike) -> Floats:
    """1, x, y, z, xy, yz, 3zz-1, xz, xx-yy of unit vectors (N,3): (N,9)."""
    x, y, z = np.asarray(directions, np.float64).T
    return np.stack(
        [np.ones_like(x), x, y, z, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y], 1
    )


def diffuse(directions: ArrayLike, light: ArrayLike) -> Floats:
    """What a white matt surface sends back, by its normal: coefficients (9,3).

    directions (N,3): unit vectors; light (N,3): radiance from each times its solid angle.
    """
    projected = (terms(directions) * _NORMS).T @ np.asarray(light, np.float64)
    return np.asarray(projected * (_NORMS * _KEPT)[:, None], np.float64)


def turned(coefficients: ArrayLike, rotation: ArrayLike) -> Floats:
    """The coefficients (9,3) of the same light about axes turned by ``rotation`` (3,3)."""
    before = _SPREAD @ np.asarray(rotation, np.float64)  # rows: rotation^T d
    return np.asarray(_INVERSE @ (terms(before) @ np.asarray(coefficients, np.float64)))


def two_tone(ground: Triple, sky: Triple, up: Triple) -> Floats:
    """Coefficients (9,3) of light that changes evenly from below to above."""
    below, above = np.array(ground), np.array(sky)
    return np.concatenate(
        [[(below + above) / 2], np.outer(up, (above - below) / 2), np.zeros((5, 3))]
    )


def _spread(count: int) -> Floats:
    """Directions (count,3) all over the sphere."""
    k = np.arange(count) + 0.5
    z, phi = 1 - 2 * k / count, k * np.pi * (3 - np.sqrt(5))
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(phi), r * np.sin(phi), z], 1)


_SPREAD = _spread(32)
_INVERSE = np.linalg.pinv(terms(_SPREAD))
