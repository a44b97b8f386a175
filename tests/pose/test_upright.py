# SPDX-License-Identifier: Apache-2.0
"""The search for the turn at which a face is upright, and the pose that is turned back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from headpose_core.geometry.rotation import (
    angles_from_matrix,
    geodesic_deg,
    matrix_from_angles,
    orientation_covariance,
    quarter_turns,
)
from headpose_core.images.image_view import ImageView
from headpose_core.pose.bins import decode
from headpose_core.pose.pose_model import Estimate
from headpose_core.pose.turns import turn_features, turn_probabilities
from headpose_core.pose.upright import UprightSearch
from headpose_core.types import FloatArray

SIDE = 16


class BrightTop:
    """Takes a crop for upright when its top is bright; without a bright side it is doubtful."""

    def __init__(self) -> None:
        self.seen = 0

    def crop(self, view: ImageView, boxes: ArrayLike) -> NDArray[np.uint8]:
        raise NotImplementedError

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen += len(crops)
        pixels = crops.astype(np.float32).mean(-1)
        sides = [pixels[:, :4], pixels[:, :, :4], pixels[:, -4:], pixels[:, :, -4:]]
        # Top, left, bottom, right: what 0, 1, 2, 3 clockwise quarter turns bring to the top.
        return np.stack([side.mean(axis=(1, 2)) for side in sides], axis=1)

    def turn_probabilities(self, outputs: NDArray[np.float32]) -> FloatArray:
        scores = np.exp(outputs / 50.0)
        return np.asarray(scores / scores.sum(axis=1, keepdims=True), np.float64)

    def decode(self, outputs: NDArray[np.float32]) -> Estimate:
        raise NotImplementedError


def face(clockwise: int = 0, brightness: int = 255) -> NDArray[np.uint8]:
    """A crop with a bright top, turned clockwise by quarters."""
    crop = np.zeros((SIDE, SIDE, 3), np.uint8)
    crop[:4] = brightness
    return np.ascontiguousarray(np.rot90(crop, -clockwise))


@pytest.mark.parametrize("clockwise", range(4))
def test_a_turned_face_is_turned_upright(clockwise: int) -> None:
    model, search = BrightTop(), UprightSearch()
    crops = np.stack([face(clockwise), face()])
    outputs, quarters = search.infer(model, crops, ["", ""], 0.0, first=0)
    assert quarters.tolist() == [-clockwise % 4, 0]
    np.testing.assert_array_equal(outputs, model.infer(np.stack([face(), face()])))


def test_upright_faces_are_seen_once_and_no_face_is_no_work() -> None:
    model, search = BrightTop(), UprightSearch()
    search.infer(model, np.stack([face()] * 5), [""] * 5, 0.0, first=0)
    assert model.seen == 5
    none = np.zeros((0, SIDE, SIDE, 3), np.uint8)
    outputs, quarters = search.infer(model, none, [], 0.0, first=0)
    assert (len(outputs), len(quarters), model.seen) == (0, 0, 5)


def test_a_camera_that_hangs_costs_nothing_more() -> None:
    model, search = BrightTop(), UprightSearch()
    _, quarters = search.infer(model, face(2)[None], ["f1"], 0.0, first=2)
    assert (quarters.tolist(), model.seen) == ([2], 1)


def test_a_track_keeps_its_turn_and_follows_its_roll() -> None:
    model, search = BrightTop(), UprightSearch()
    search.infer(model, face(1)[None], ["f1"], 0.0, first=0)
    seen = model.seen
    for number in range(1, 5):
        _, quarters = search.infer(model, face(1)[None], ["f1"], number / 30, first=0)
        assert quarters.tolist() == [3]
    assert model.seen == seen + 4
    # Rolled by 90 the face was turned by 3 quarters; at 30 it is upright, at 40 just not yet.
    for roll, expected in ((40.0, 3), (30.0, 0), (50.0, 0), (60.0, 3)):
        search.follow(["f1"], matrix_from_angles(np.array([[0.0, 0.0, roll]])))
        _, quarters = search.infer(model, face()[None], ["f1"], 1.0, first=0)
        if expected == 0:
            assert quarters.tolist() == [0]


def test_a_face_that_stays_doubtful_is_asked_about_now_and_then() -> None:
    model, search = BrightTop(), UprightSearch()
    grey = np.full((1, SIDE, SIDE, 3), 90, np.uint8)
    counts = []
    for number in range(61):
        before = model.seen
        search.infer(model, grey, ["f1"], number / 30, first=0)
        counts.append(model.seen - before)
    assert counts[0] == 4 and sum(counts) == 61 + 3 * 3  # at 0, 1 and 2 seconds
    search.infer(model, grey, ["f2"], 2.1, first=0)  # somebody else
    assert model.seen == sum(counts) + 4


def test_quarter_turns_turn_a_head_back() -> None:
    """A head that is rolled by 100 degrees, seen in a crop turned clockwise by 3 quarters."""
    for quarters, seen_roll in ((0, 100.0), (1, 190.0), (2, 280.0), (3, 10.0)):
        seen = matrix_from_angles(np.array([20.0, -10.0, 0.0]))
        roll = np.radians(seen_roll)
        about_z = np.array(
            [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
        )
        expected = matrix_from_angles(np.array([20.0, -10.0, 0.0]))
        true_roll = np.radians(100.0)
        back = quarter_turns([quarters])[0] @ about_z @ seen
        about_true = np.array(
            [
                [np.cos(true_roll), -np.sin(true_roll), 0],
                [np.sin(true_roll), np.cos(true_roll), 0],
                [0, 0, 1],
            ]
        )
        assert geodesic_deg(back, about_true @ expected) < 1e-5


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_angles_and_spreads_follow_the_turn(quarters: int) -> None:
    angles, std = np.array([[25.0, -12.0, 8.0]]), np.array([[4.0, 6.0, 3.0]])
    estimate = Estimate(angles, std, np.array([False])).turned_back(np.array([quarters]))
    turn = quarter_turns([quarters])
    expected = turn @ matrix_from_angles(angles)
    np.testing.assert_allclose(matrix_from_angles(estimate.mean_deg), expected, atol=1e-9)
    np.testing.assert_allclose(estimate.mean_deg, angles_from_matrix(expected))
    # Monte Carlo: the same small errors, seen in the image.
    rng = np.random.default_rng(0)
    samples = turn @ matrix_from_angles(angles + std * 0.05 * rng.normal(size=(20000, 3)))
    spread = angles_from_matrix(samples).std(axis=0) / 0.05
    np.testing.assert_allclose(estimate.std_deg[0], spread, rtol=0.03)
    np.testing.assert_allclose(
        np.trace(orientation_covariance(angles, std)[0]),
        np.trace((turn @ orientation_covariance(angles, std) @ np.swapaxes(turn, -1, -2))[0]),
    )


def test_upright_estimates_stay_what_they_are() -> None:
    estimate = Estimate(np.ones((2, 3)), np.ones((2, 3)), np.array([False, True]))
    assert estimate.turned_back(np.array([0, 0])) is estimate


def test_turn_probabilities_are_a_softmax_of_the_features() -> None:
    logits = np.random.default_rng(1).normal(size=(5, 3, 62)).astype(np.float32)
    features = turn_features(logits)
    estimate = decode(logits)
    np.testing.assert_allclose(features[:, :3] * 30, estimate.mean_deg)
    np.testing.assert_allclose(np.exp(features[:, 6:9]) * 30, estimate.std_deg)
    turns = np.random.default_rng(2).normal(size=(4, 10))
    likely = turn_probabilities(logits, turns)
    np.testing.assert_allclose(likely.sum(axis=1), 1.0)
    np.testing.assert_allclose(
        np.log(likely[:, 1] / likely[:, 0]), features @ (turns[1] - turns[0])
    )
