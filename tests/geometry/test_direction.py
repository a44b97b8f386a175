# SPDX-License-Identifier: Apache-2.0
"""The direction of a head in people's words."""

from __future__ import annotations

import numpy as np
import pytest

from headpose_core.geometry.direction import Direction
from headpose_core.geometry.rotation import angles_from_matrix, matrix_from_angles


def paper(*angles_deg: float) -> Direction:
    return Direction.of(matrix_from_angles(np.array(angles_deg)))


@pytest.mark.parametrize(
    ("angles_deg", "text"),
    [
        ((0, 0, 0), "0 left, 0 up, tilt +0"),
        ((30, 0, 0), "30 left, 0 up, tilt +0"),
        ((-30, 0, 0), "30 right, 0 up, tilt +0"),
        ((0, 20, 0), "0 left, 20 up, tilt +0"),
        ((0, -20, 0), "0 left, 20 down, tilt +0"),
        ((0, 0, 15), "0 left, 0 up, tilt +15"),
        ((0, 0, -15), "0 left, 0 up, tilt -15"),
    ],
)
def test_signs_are_those_of_the_image(angles_deg: tuple[float, ...], text: str) -> None:
    assert str(paper(*angles_deg)) == text


def test_near_profile_the_direction_says_what_the_paper_hides() -> None:
    """A driver who looks far to the side and a little down (docs/angles.md)."""
    direction = paper(-61.0, -69.0, 63.0)
    assert direction.left_deg == pytest.approx(-78.8, abs=0.1)
    assert direction.up_deg == pytest.approx(-26.9, abs=0.1)


def test_along_a_profile_the_direction_scatters_less_than_the_paper() -> None:
    """Small errors about random axes move the paper's pitch far, the height of the nose little."""
    rng = np.random.default_rng(0)
    still = matrix_from_angles(np.array([80.0, -20.0, 10.0]))
    axes = rng.normal(size=(200, 3)) * np.radians(4.0)
    skew = np.zeros((200, 3, 3))
    skew[:, [2, 0, 1], [1, 2, 0]], skew[:, [1, 2, 0], [2, 0, 1]] = axes, -axes
    angle = np.linalg.norm(axes, axis=1)[:, None, None]
    turns = np.eye(3) + np.sin(angle) / angle * skew
    turns = turns + (1 - np.cos(angle)) / angle**2 * skew @ skew
    seen = turns @ still
    heights = np.array([Direction.of(R).up_deg for R in seen])
    assert angles_from_matrix(seen)[:, 1].std() > 3 * heights.std()
    assert heights.std() == pytest.approx(4.0, rel=0.3)
