# SPDX-License-Identifier: Apache-2.0
"""The face box of rendered heads, and the zero pose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from headpose_core.geometry.rotation import angles_from_matrix, matrix_from_angles
from headpose_core.types import Faces
from training.synthesis.boxes import box_targets, choose_box, fitted_box
from training.synthesis.zero_pose import (
    OPTICAL_TO_VIEW,
    POINT_SETS,
    ZERO_POSE,
    ZERO_POSE_DEG,
    mean_label_shape,
    mean_makehuman_shape,
    rotation_between,
)

if TYPE_CHECKING:
    from training.synthesis.engine import Engine

POINTS = np.random.default_rng(3).uniform(40, 120, (68, 2))
angle = st.floats(-89, 89)


def test_the_detection_on_the_face_wins_else_the_fitted_box() -> None:
    fitted = np.array([10.0, 10, 50, 60])
    boxes = np.array([[100, 100, 150, 160], [12, 9, 52, 61]], np.float32)
    both = Faces(boxes, np.array([0.9, 0.7], np.float32))
    box, detected = choose_box(both, fitted)
    assert detected and box.tolist() == [12, 9, 52, 61]
    box, detected = choose_box(Faces(boxes[:1], np.array([0.9], np.float32)), fitted)
    assert not detected and box is fitted


@settings(deadline=None)
@given(angle, angle, angle, st.floats(0.3, 3), st.floats(-50, 50))
def test_fitted_box_moves_and_grows_with_the_face(
    yaw: float, pitch: float, roll: float, scale: float, shift: float
) -> None:
    box = fitted_box(POINTS, (yaw, pitch, roll))
    moved = fitted_box(POINTS * scale + shift, (yaw, pitch, roll))
    np.testing.assert_allclose(moved, box * scale + shift, rtol=1e-9, atol=1e-6)
    assert (box[2:] > box[:2]).all()


@settings(deadline=None)
@given(angle, angle, angle)
def test_box_targets_are_what_the_model_predicts(yaw: float, pitch: float, roll: float) -> None:
    from training.synthesis.boxes import BOX_MODEL

    box = fitted_box(POINTS, (yaw, pitch, roll))
    terms, values = box_targets(box, POINTS, (yaw, pitch, roll))
    np.testing.assert_allclose(BOX_MODEL @ terms, values, atol=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_rotation_between_finds_the_rotation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(20, 3))
    truth = matrix_from_angles(rng.uniform(-180, 180, 3))
    found = rotation_between(points, 2.5 * points @ truth.T + rng.normal(size=3))
    np.testing.assert_allclose(found, truth, atol=1e-9)


def test_zero_pose_lifts_the_chin() -> None:
    optical = OPTICAL_TO_VIEW @ ZERO_POSE @ OPTICAL_TO_VIEW
    np.testing.assert_allclose(angles_from_matrix(optical), ZERO_POSE_DEG, atol=1e-9)
    assert (ZERO_POSE @ (0, 0, 1))[1] > 0  # the nose, which pointed at the viewer, points up


def test_zero_pose_is_the_one_that_the_landmarks_give(shared_dir: Path, engine: Engine) -> None:
    labels = mean_label_shape(shared_dir / "data" / "aflw2000")
    chosen = list(POINT_SETS["eyes and nose"])
    rotation = rotation_between(mean_makehuman_shape(engine.library)[chosen], labels[chosen])
    measured = angles_from_matrix(OPTICAL_TO_VIEW @ rotation @ OPTICAL_TO_VIEW)
    np.testing.assert_allclose(measured, ZERO_POSE_DEG, atol=0.5)
