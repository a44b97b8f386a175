# SPDX-License-Identifier: Apache-2.0
"""What is drawn at random: ranges, shares, and the same again from the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.synthesis.lighting import sample_lighting
from training.synthesis.scene import sample_angles, sample_scene


@settings(deadline=None)
@given(st.integers(0, 2**63 - 1))
def test_scene_depends_on_its_seed_alone_and_stays_in_range(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    assert scene == sample_scene(np.random.default_rng(seed))
    yaw, pitch, roll = scene.angles_deg
    assert abs(yaw) <= 93 and abs(pitch) <= 90 and abs(roll) <= 90
    assert 0.3 <= scene.distance_m <= 4.0
    assert all(0 <= value <= 1 for value in scene.expression.values())
    assert 1 <= len(scene.lighting.lights) <= 3


def test_poses_cover_the_range_with_the_mass_in_front() -> None:
    rng = np.random.default_rng(0)
    angles = np.array([sample_angles(rng) for _ in range(8000)])
    share = np.histogram(np.abs(angles[:, 0]), bins=[0, 30, 60, 93])[0] / len(angles)
    assert share[0] > 0.5 and share[2] > 0.12
    assert np.abs(angles.mean(0)).max() < 2.5  # no side is preferred
    assert (np.abs(angles[:, 1:]) > 45).mean(0).min() > 0.05
    # Nothing piles up where the range ends.
    assert (np.abs(angles[:, 0]) > 91).mean() < 0.02


def test_lights_come_from_all_sides_also_from_behind() -> None:
    rng = np.random.default_rng(0)
    first = np.array([sample_lighting(rng).lights[0].direction for _ in range(1000)])
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-9)
    assert (first[:, 0] > 0.5).any() and (first[:, 0] < -0.5).any()
    assert 0.02 < (first[:, 2] < 0).mean() < 0.3


@pytest.mark.parametrize("seed", range(3))
def test_one_in_twenty_five_faces_is_cut_by_the_border(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenes = [sample_scene(rng) for _ in range(2000)]
    far = [max(map(abs, s.offset_share)) > 0.2 for s in scenes]
    assert 0.025 < np.mean(far) < 0.055
