# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from headpose_core.pose.bins import BIN_CENTRES_DEG, decode
from training.evaluation.metrics import (
    accuracy,
    calibrated,
    calibration,
    fit_temperature,
    fit_zero_pose,
    mirror_difference,
    normal_nll,
    paired_bootstrap,
    second_half,
    turn_predictions,
)


def test_accuracy_by_hand() -> None:
    labels = np.array([[10.0, 0.0, 0.0], [-40.0, 10.0, 5.0], [70.0, 0.0, 0.0]])
    errors = np.array([[1.0, -2.0, 3.0], [-4.0, 2.0, 0.0], [9.0, 0.0, -6.0]])
    numbers = accuracy(labels + errors, labels)
    assert numbers["n"] == 3
    expected = {"yaw": 14 / 3, "pitch": 4 / 3, "roll": 3.0, "mean": 3.0}
    assert numbers["mae"] == pytest.approx(expected)
    assert numbers["by_yaw"] == pytest.approx({"0-30": 2.0, "30-60": 2.0, "60-99": 5.0})
    assert numbers["n_by_yaw"] == {"0-30": 1, "30-60": 1, "60-99": 1}
    assert numbers["bias"] == pytest.approx({"yaw": 2.0, "pitch": 0.0, "roll": -1.0})


def test_geodesic_error_of_one_axis_is_its_angle() -> None:
    labels = np.zeros((2, 3))
    numbers = accuracy(np.array([[0.0, 4.0, 0.0], [0.0, 0.0, -8.0]]), labels)
    assert numbers["geodesic"] == pytest.approx(6.0)
    assert numbers["geodesic_by_yaw"] == {"0-30": pytest.approx(6.0), "30-60": None, "60-99": None}


def test_angles_without_a_label_do_not_count() -> None:
    labels = np.array([[10.0, 5.0, np.nan], [20.0, 5.0, np.nan]])
    numbers = accuracy(labels + np.array([2.0, 4.0, 50.0]), labels)
    assert numbers["mae"] == {"yaw": 2.0, "pitch": 4.0, "roll": None, "mean": 3.0}
    assert numbers["by_yaw"] == {"0-30": 3.0, "30-60": None, "60-99": None}
    assert numbers["geodesic"] is None


def test_mirrored_predictions_agree_where_yaw_and_roll_flip() -> None:
    predicted = np.array([[20.0, -5.0, 7.0]])
    assert mirror_difference(predicted, np.array([[-20.0, -5.0, -7.0]])) == 0.0
    assert mirror_difference(predicted, np.array([[-23.0, -5.0, -7.0]])) == pytest.approx(1.0)


def test_honest_spread_covers_what_a_normal_distribution_covers() -> None:
    rng = np.random.default_rng(0)
    std = rng.uniform(1, 9, (20000, 3))
    labels = rng.normal(0, std)
    honest = calibration(np.zeros_like(std), std, labels)
    assert honest["coverage_1sigma"] == pytest.approx(0.683, abs=0.005)
    assert honest["coverage_2sigma"] == pytest.approx(0.954, abs=0.005)
    assert honest["sharpness"]["pitch"] == pytest.approx(5.0, abs=0.05)
    bold, shy = (calibration(np.zeros_like(std), k * std, labels) for k in (0.5, 2.0))
    assert honest["nll"] < min(bold["nll"], shy["nll"])
    assert bold["coverage_1sigma"] < 0.4 and shy["coverage_1sigma"] > 0.95


def test_normal_likelihood_by_hand() -> None:
    nll = normal_nll(np.array([[1.0]]), np.array([[2.0]]), np.array([[5.0]]))
    assert nll[0, 0] == pytest.approx(0.5 * 4 + np.log(2) + 0.5 * np.log(2 * np.pi))


def test_fitted_temperature_finds_the_spread_of_the_errors() -> None:
    # Distributions with a spread of 4 degrees; the errors have 8, 4 and 2.
    rng = np.random.default_rng(1)
    means = rng.uniform(-30, 30, (6000, 3))
    logits = (-0.5 * ((BIN_CENTRES_DEG - means[..., None]) / 4.0) ** 2).astype(np.float32)
    labels = means + rng.normal(0, (8.0, 4.0, 2.0), means.shape)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx([4.0, 1.0, 0.25], rel=0.08)
    fitted = decode(logits, temperature)
    coverage = calibration(fitted.mean_deg, fitted.std_deg, labels)["coverage_1sigma_by_angle"]
    assert list(coverage.values()) == pytest.approx([0.683] * 3, abs=0.03)


def test_a_few_large_errors_do_not_widen_the_spread_of_all() -> None:
    means = np.zeros((1000, 3))
    logits = (-0.5 * ((BIN_CENTRES_DEG - means[..., None]) / 4.0) ** 2).astype(np.float32)
    labels = np.random.default_rng(3).normal(0, 4.0, means.shape)
    labels[::50] = 60.0
    assert fit_temperature(logits, labels) == pytest.approx([1.0] * 3, rel=0.2)


def test_an_angle_without_labels_keeps_its_temperature() -> None:
    logits = np.random.default_rng(0).normal(size=(10, 3, 62)).astype(np.float32)
    labels = np.column_stack([np.zeros((10, 2)), np.full(10, np.nan)])
    assert fit_temperature(logits, labels)[2] == 1.0


def test_fitted_zero_pose_is_the_rotation_between_two_zeros() -> None:
    rng = np.random.default_rng(2)
    predicted = rng.uniform((-60, -30, -30), (60, 30, 30), (300, 3))
    zero = np.array([1.0, -4.0, 0.5])
    labels = turn_predictions(predicted, zero) + rng.laplace(0, 1.0, predicted.shape)
    assert fit_zero_pose(predicted, labels) == pytest.approx(zero, abs=0.3)


def test_calibration_is_reported_on_faces_it_was_not_fitted_to() -> None:
    # Every second face errs by 2 degrees, the others by 8: the fit sees the former only.
    means = np.random.default_rng(3).uniform(-30, 30, (200, 3))
    logits = (-0.5 * ((BIN_CENTRES_DEG - means[..., None]) / 3.0) ** 2).astype(np.float32)
    errors = np.where(np.arange(200) % 2, 8.0, 2.0)[:, None] * np.ones(3)
    numbers = calibrated(logits, means + errors, np.arange(200))
    assert numbers is not None
    assert list(numbers["sharpness"].values()) == pytest.approx([2.0] * 3, rel=0.02)
    assert numbers["coverage_1sigma"] == numbers["coverage_2sigma"] == 0.0
    assert numbers["nll"] == pytest.approx(0.5 * 16 + np.log(2) + 0.5 * np.log(2 * np.pi), rel=0.1)


def test_a_person_is_never_on_both_sides_of_a_calibration() -> None:
    groups = np.array([7, 7, 3, 3, 9, 7])
    assert second_half(groups).tolist() == [False, False, True, True, False, False]
    logits = np.zeros((3, 3, 62), np.float32)
    assert calibrated(logits, np.zeros((3, 3)), np.array([5, 5, 5])) is None


def test_an_unknown_spread_has_no_calibration() -> None:
    labels = np.zeros((4, 3))
    numbers = calibration(labels + 1, np.full((4, 3), np.nan), labels)
    assert numbers["nll"] is numbers["coverage_1sigma"] is None
    assert set(numbers["sharpness"].values()) == {None}


def test_paired_interval_is_that_of_the_mean_difference() -> None:
    # Two models with large errors in common and a small difference: paired, it shows.
    rng = np.random.default_rng(4)
    labels = np.zeros((400, 3))
    first = np.abs(rng.normal(0, 20, (400, 1))) * np.ones(3)
    second = first + rng.normal(0.5, 1.0, (400, 1))
    faces = np.arange(400)
    difference, low, high = paired_bootstrap(first, second, labels, faces)
    gains = (np.abs(second) - np.abs(first))[:, 0]
    spread = gains.std() / 400**0.5
    assert difference == pytest.approx(gains.mean())
    assert (low, high) == pytest.approx(gains.mean() + spread * np.array([-1.96, 1.96]), abs=0.01)
    assert 0 < low < high
    assert paired_bootstrap(first, second, labels, faces) == (difference, low, high)  # seeded
    assert paired_bootstrap(second, first, labels, faces)[0] == pytest.approx(-difference)


def test_copies_of_a_face_make_no_interval_narrower() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(0, 3, (2, 50, 3))
    labels, faces = np.zeros((50, 3)), np.arange(50)
    once = paired_bootstrap(first, second, labels, faces)
    copies = [np.repeat(part, 9, axis=0) for part in (first, second, labels, faces)]
    assert paired_bootstrap(*copies) == pytest.approx(once)
    low, high = paired_bootstrap(*copies[:3], np.arange(450))[1:]
    assert high - low < 0.5 * (once[2] - once[1])  # as if they were 450 people


def test_paired_interval_ignores_angles_without_a_label() -> None:
    labels = np.array([[0.0, 0.0, np.nan]] * 3)
    first, second = np.ones((3, 3)), np.array([[3.0, 1.0, 90.0]] * 3)
    assert paired_bootstrap(first, second, labels, np.arange(3)) == pytest.approx((1, 1, 1))
