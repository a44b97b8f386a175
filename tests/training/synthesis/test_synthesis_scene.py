# SPDX-License-Identifier: Apache-2.0
"""What is drawn at random: ranges, shares, and the same again from the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.synthesis.lighting import sample_lighting
from training.synthesis.poses import paper_angles, pose_from_angles, sample_pose
from training.synthesis.scene import sample_scene


@settings(deadline=None)
@given(st.integers(0, 2**63 - 1))
def test_scene_depends_on_its_seed_alone_and_stays_in_range(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    assert scene == sample_scene(np.random.default_rng(seed))
    yaw, pitch, roll = scene.angles_deg
    assert max(abs(yaw), abs(pitch), abs(roll)) <= 93
    assert 0.3 <= scene.distance_m <= 4.0
    assert all(0 <= value <= 1 for value in scene.expression.values())
    assert 1 <= len(scene.lighting.lights) <= 3


def test_poses_cover_the_range_with_the_mass_in_front() -> None:
    rng = np.random.default_rng(0)
    angles = np.array([paper_angles(sample_pose(rng)) for _ in range(4000)])
    share = np.histogram(np.abs(angles[:, 0]), bins=[0, 30, 60, 93])[0] / len(angles)
    assert share[0] > 0.5 and share[2] > 0.12
    assert np.abs(angles.mean(0)[[0, 2]]).max() < 2  # no side is preferred
    assert -6 < angles.mean(0)[1] < 0  # cameras look down a little more often than up
    assert (np.abs(angles[:, 1:]) > 45).mean(0).min() > 0.04
    # Nothing piles up where the range ends.
    assert 0 < (np.abs(angles[:, 0]) > 90).mean() < 0.02


def test_pitch_and_roll_of_profiles_go_together_as_in_people() -> None:
    rng = np.random.default_rng(1)
    yaw, pitch, roll = np.array([paper_angles(sample_pose(rng)) for _ in range(4000)]).T
    profile, frontal = np.abs(yaw) > 65, np.abs(yaw) < 20
    assert np.corrcoef((pitch * np.sign(yaw))[profile], roll[profile])[0, 1] > 0.8
    assert abs(np.corrcoef((pitch * np.sign(yaw))[frontal], roll[frontal])[0, 1]) < 0.25


@given(st.tuples(*[st.floats(-89, 89)] * 3))
def test_a_pose_and_its_paper_angles_are_one_rotation(pose: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(pose_from_angles(paper_angles(pose)), pose, atol=1e-6)


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
