# SPDX-License-Identifier: Apache-2.0
"""Pictures that are turned: the tool's own geometry, and a shipped model on a real photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from headpose_core.faces.yunet import YuNet
from headpose_core.geometry.rotation import geodesic_deg
from headpose_core.learning.data.datasets import LabelledFace
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.pose.head_pose_model import HeadPoseModel
from training.checks.turned_faces import rotation_found, turned


@pytest.mark.parametrize(
    ("degrees", "code"), [(90, cv2.ROTATE_90_CLOCKWISE), (180, cv2.ROTATE_180)]
)
def test_quarter_turns_are_those_of_opencv(degrees: float, code: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), 3), np.uint8)
    got, box = turned(image, (10.0, 10.0, 30.0, 20.0), degrees)
    expected = cv2.rotate(image, code)
    rows, columns = (min(pair) for pair in zip(got.shape[:2], expected.shape[:2], strict=True))
    inside = (slice(2, rows - 2), slice(2, columns - 2))
    off = np.abs(got[inside].astype(float) - expected[inside]).mean()
    assert off < 6
    sides = box[2:] - box[:2]
    np.testing.assert_allclose(sides, (10, 20) if degrees == 90 else (20, 10), atol=1e-3)


@pytest.mark.parametrize("degrees", [90.0, 180.0, 270.0])
def test_a_photo_has_the_same_head_at_any_turn(astronaut: np.ndarray, degrees: float) -> None:
    pipeline = HeadPosePipeline(YuNet(turns=4), HeadPoseModel.load("ehpnet_resnet18"))
    (head,) = pipeline(astronaut, 0.0).heads
    face = LabelledFace("astronaut", astronaut, head.box, np.zeros(3))
    found = rotation_found(pipeline, face, degrees)
    assert found is not None
    assert geodesic_deg(found, head.rotation) < 6.0
