# SPDX-License-Identifier: Apache-2.0
"""The conventions of the angles: golden values, inverses, mirror, covariance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpose_core.geometry import quaternions, rotation

angle = st.floats(-180, 180)
regular_angles = st.tuples(st.floats(-89, 89), st.floats(-179, 179), st.floats(-179, 179))
any_angles = st.tuples(angle, angle, angle)


def test_golden_example_of_all_conventions():
    R = rotation.matrix_from_angles((30, 20, 10))
    message = np.degrees(rotation.rep103_angles(R))
    assert message == pytest.approx((-31.567, -17.229, 0.314), abs=5e-4)
    quaternion = quaternions.quaternion_from_matrix(R @ rotation.BODY_TO_OPTICAL)
    assert quaternion == pytest.approx((0.2500, 0.5567, -0.6634, 0.4330), abs=5e-5)


def test_the_definition_as_a_product_of_elementary_rotations():
    def about(axis: int, degrees: float) -> np.ndarray:
        a, b = (axis + 1) % 3, (axis + 2) % 3
        matrix, t = np.eye(3), np.radians(degrees)
        matrix[a, a] = matrix[b, b] = np.cos(t)
        matrix[a, b], matrix[b, a] = -np.sin(t), np.sin(t)
        return matrix

    expected = about(0, -25) @ about(1, 40) @ about(2, -15)
    np.testing.assert_allclose(rotation.matrix_from_angles((40, 25, -15)), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("angles", "component", "sign"),
    [((30, 0, 0), 0, -1), ((-30, 0, 0), 0, 1), ((0, 30, 0), 1, -1), ((0, -30, 0), 1, 1)],
)
def test_the_nose_points_where_the_signs_say(angles, component, sign):
    """Yaw > 0: toward the image's left. Pitch > 0: up, and the optical y points down."""
    nose = (rotation.matrix_from_angles(angles) @ rotation.BODY_TO_OPTICAL)[:, 0]
    assert nose[component] == pytest.approx(sign * 0.5)


def test_positive_roll_is_clockwise_in_the_image():
    crown = (rotation.matrix_from_angles((0, 0, 30)) @ rotation.BODY_TO_OPTICAL)[:, 2]
    assert crown[0] == pytest.approx(0.5)
    assert crown[1] < 0


def test_frontal_face_has_the_rep155_quaternion():
    quaternion = quaternions.quaternion_from_matrix(rotation.BODY_TO_OPTICAL)
    assert quaternion == pytest.approx((0.5, 0.5, -0.5, 0.5))


@given(any_angles)
def test_every_matrix_is_a_rotation_and_its_angles_give_it_back(angles):
    R = rotation.matrix_from_angles(angles)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)
    back = rotation.matrix_from_angles(rotation.angles_from_matrix(R))
    assert rotation.geodesic_deg(R, back) < 1e-4


@given(regular_angles)
def test_angles_survive_up_to_89_degrees_of_yaw(angles):
    back = rotation.angles_from_matrix(rotation.matrix_from_angles(angles))
    np.testing.assert_allclose(back, angles, atol=1e-6)


@given(any_angles)
def test_mirrored_angles_are_the_mirrored_matrix(angles):
    flip = np.diag([-1.0, 1.0, 1.0])
    mirrored = flip @ rotation.matrix_from_angles(angles) @ flip
    expected = rotation.matrix_from_angles(rotation.mirror_angles(angles))
    np.testing.assert_allclose(mirrored, expected, atol=1e-12)


@given(any_angles)
def test_quaternion_turns_vectors_as_the_matrix_does(angles):
    R = rotation.matrix_from_angles(angles)
    x, y, z, w = quaternions.quaternion_from_matrix(R)
    axis, v = np.array([x, y, z]), np.array([0.3, -1.2, 0.7])
    assert w >= 0
    turned = v + 2 * np.cross(axis, np.cross(axis, v) + w * v)
    np.testing.assert_allclose(turned, R @ v, atol=1e-9)


@given(any_angles, st.floats(0.1, 10.0))
def test_a_quaternion_of_any_length_gives_the_matrix_back(angles, length):
    R = rotation.matrix_from_angles(angles)
    for sign in (1.0, -1.0):
        quaternion = sign * length * quaternions.quaternion_from_matrix(R)
        np.testing.assert_allclose(quaternions.matrix_from_quaternion(quaternion), R, atol=1e-9)


@given(regular_angles, st.floats(0, 179))
def test_geodesic_is_the_angle_of_a_known_turn(angles, turn):
    R = rotation.matrix_from_angles(angles)
    turned = R @ rotation.matrix_from_angles((0, 0, turn))
    assert rotation.geodesic_deg(R, turned) == pytest.approx(turn, abs=1e-5)


def test_batches_equal_single_calls():
    angles = np.random.default_rng(0).uniform(-80, 80, (2, 5, 3))
    R = rotation.matrix_from_angles(angles)
    turns, message = quaternions.quaternion_from_matrix(R), rotation.rep103_angles(R)
    for index in np.ndindex(2, 5):
        one = rotation.matrix_from_angles(angles[index])
        np.testing.assert_array_equal(R[index], one)
        np.testing.assert_array_equal(turns[index], quaternions.quaternion_from_matrix(one))
        np.testing.assert_array_equal(message[index], rotation.rep103_angles(one))


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 20, 10), (-70, 15, -40), (85, -30, 60)])
def test_covariance_agrees_with_monte_carlo(angles):
    std = np.array([1.0, 0.5, 1.5])
    samples = np.random.default_rng(1).normal(angles, std, (200_000, 3))
    turns = rotation.matrix_from_angles(samples) @ rotation.matrix_from_angles(angles).T
    # For a small turn the rotation vector is the vector of the antisymmetric part.
    vectors = np.stack(
        [
            turns[:, 2, 1] - turns[:, 1, 2],
            turns[:, 0, 2] - turns[:, 2, 0],
            turns[:, 1, 0] - turns[:, 0, 1],
        ],
        axis=-1,
    )
    measured = vectors.T @ vectors / len(vectors) / 4
    expected = rotation.orientation_covariance(angles, std)
    np.testing.assert_allclose(measured, expected, atol=0.02 * np.trace(expected))
