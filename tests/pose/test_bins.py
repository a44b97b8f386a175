# SPDX-License-Identifier: Apache-2.0
"""Bins: labels, expectation, spread, edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from headpose_core.pose import bins

logits = arrays(np.float64, (2, 3, 62), elements=st.floats(-20, 20))


def one_hot(classes: np.ndarray) -> np.ndarray:
    return np.where(np.arange(62) == classes[..., None], 100.0, 0.0)


@given(st.lists(st.floats(-93, 92.999), min_size=3, max_size=3))
def test_one_hot_error_is_at_most_half_a_bin(angles):
    scores = one_hot(bins.label_bins([angles]))
    error = bins.decode(scores).mean_deg[0] - angles
    assert np.abs(error).max() <= 1.5 + 1e-9


@pytest.mark.parametrize(
    ("angle", "expected"),
    [
        (-93, 0),
        (-90.001, 0),
        (-90, 1),
        (0, 31),
        (-0.001, 30),
        (92.99, 61),
        (93, 61),
        (-99, 0),
        (170, 61),
    ],
)
def test_labels_at_the_edges(angle, expected):
    assert bins.label_bins(angle) == expected


def test_a_label_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        bins.label_bins([1.0, float("nan")])


def test_expectation_is_exact():
    """Bins 30 and 31 at 1 : 3 stand for -1.5 and 1.5 degrees."""
    scores = np.full((1, 3, 62), -1e3)
    scores[..., 30], scores[..., 31] = 0.0, np.log(3.0)
    estimate = bins.decode(scores)
    np.testing.assert_allclose(estimate.mean_deg, 0.75, atol=1e-9)
    np.testing.assert_allclose(estimate.std_deg, 3 * np.sqrt(3) / 4, atol=1e-9)
    assert not estimate.extrapolated.any()


@given(logits, st.floats(0.2, 5))
def test_temperature_moves_the_spread_only(scores, temperature):
    plain = bins.decode(scores)
    tempered = bins.decode(scores, (temperature, 1.0, 1.0))
    np.testing.assert_array_equal(plain.mean_deg, tempered.mean_deg)
    np.testing.assert_array_equal(plain.std_deg[:, 1:], tempered.std_deg[:, 1:])
    assert (tempered.std_deg >= bins.STD_FLOOR_DEG).all()


@given(logits)
def test_angles_stay_within_the_bin_centres(scores):
    estimate = bins.decode(scores)
    assert (np.abs(estimate.mean_deg) <= 91.5 + 1e-9).all()
    assert np.isfinite(estimate.std_deg).all()


def test_a_hotter_distribution_is_wider():
    scores = -0.5 * (bins.BIN_CENTRES_DEG / 6.0) ** 2 * np.ones((1, 3, 1))
    stds = bins.decode(scores, (0.5, 1.0, 2.0)).std_deg[0]
    np.testing.assert_allclose(stds, 6.0 * np.sqrt([0.5, 1.0, 2.0]), rtol=0.01)


@pytest.mark.parametrize(("outer_mass", "expected"), [(0.19, False), (0.21, True)])
def test_extrapolated_begins_above_a_fifth_in_the_outer_bins(outer_mass, expected):
    scores = np.full((1, 3, 62), -1e3)
    scores[..., 31] = 0.0
    scores[0, 1, 31], scores[0, 1, -3] = np.log(1 - outer_mass), np.log(outer_mass)
    assert bins.decode(scores).extrapolated[0] == expected


def test_no_faces():
    estimate = bins.decode(np.empty((0, 3, 62)))
    assert estimate.mean_deg.shape == estimate.std_deg.shape == (0, 3)
    assert estimate.extrapolated.shape == (0,)
