# SPDX-License-Identifier: Apache-2.0
"""The whole way from pixels to heads, with a real session and painted faces of known pose."""

from __future__ import annotations

import numpy as np
import pytest

from headpose_core.bins import BIN_CENTRES_DEG
from headpose_core.camera import ray_rotation, viewing_ray
from headpose_core.detection import GivenBoxes
from headpose_core.errors import ImageError
from headpose_core.pipeline import HeadPosePipeline, PipelineConfig
from headpose_core.rotation import geodesic_deg, matrix_from_angles, orientation_covariance
from headpose_core.runtime import HeadPoseModel
from headpose_core.tracking import Tracker
from headpose_core.types import Camera
from tests.tiny_models import write_tiny_model

CAMERA = Camera(640, 480, np.array([[400.0, 0, 320], [0, 400, 240], [0, 0, 1]]))
# Small, middle, large; the large one leaves the image.
BOXES = np.array([[300, 200, 340, 250], [20, 30, 100, 120], [500, 380, 700, 560]], np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return HeadPoseModel.load(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def painted(boxes, colours):
    """An image whose boxes, with room for their squares, have these RGB colours."""
    image = np.zeros((480, 640, 3), np.uint8)
    for (x1, y1, x2, y2), colour in zip(boxes.astype(int), colours, strict=True):
        image[max(y1 - 30, 0) : y2 + 30, max(x1 - 30, 0) : x2 + 30] = colour
    return image


def test_heads_come_largest_first_with_the_pose_of_their_own_crop(model):
    boxes = BOXES[:2]
    colours = np.array([[200, 130, 100], [60, 90, 180]])
    frame = HeadPosePipeline(GivenBoxes(boxes, [0.9, 0.7]), model)(painted(boxes, colours), 12.5)
    assert frame.stamp_s == 12.5
    for head, face in zip(frame.heads, (1, 0), strict=True):
        np.testing.assert_array_equal(head.box, boxes[face])
        assert head.score == pytest.approx((0.9, 0.7)[face])
        expected = np.interp(colours[face] / 255 * 61, np.arange(62), BIN_CENTRES_DEG)
        np.testing.assert_allclose(head.paper_angles_deg, expected, atol=1.0)
        np.testing.assert_allclose(head.rotation, matrix_from_angles(head.paper_angles_deg))
        assert head.face_id == ""
    stages = ["detect", "crop", "infer", "decode", "track", "filter", "place"]
    assert list(frame.timings_ms) == stages


def test_the_temperature_of_the_model_file_widens_the_angles(model):
    head = HeadPosePipeline(GivenBoxes(BOXES[1:2]), model)(
        np.full((480, 640, 3), 128, np.uint8), 0.0
    )
    np.testing.assert_allclose(
        head.heads[0].std_deg / 3, np.sqrt(model.metadata.temperature), rtol=0.02
    )


def test_only_the_largest_faces_are_kept(model):
    pipeline = HeadPosePipeline(GivenBoxes(BOXES), model, config=PipelineConfig(max_faces=2))
    heads = pipeline(np.zeros((480, 640, 3), np.uint8), 0.0).heads
    np.testing.assert_array_equal([head.box for head in heads], BOXES[[2, 1]])


def test_no_face(model):
    frame = HeadPosePipeline(GivenBoxes([]), model, Tracker())(np.zeros((9, 9, 3), np.uint8), 1.0)
    assert frame.heads == ()


def test_uncalibrated_heads_have_angles_but_no_position(model):
    for camera in (None, Camera(640, 480, np.zeros((3, 3)))):
        pipeline = HeadPosePipeline(GivenBoxes(BOXES[:1]), model)
        (head,) = pipeline(np.zeros((480, 640, 3), np.uint8), 0.0, camera).heads
        assert not head.perspective_corrected
        np.testing.assert_array_equal(head.ray_rotation, np.eye(3))
        assert np.isnan(head.position).all()
        assert np.isnan(head.position_covariance).all()


def test_a_calibrated_camera_turns_the_pose_by_the_ray_of_the_face(model):
    pipeline = HeadPosePipeline(GivenBoxes(BOXES[1:2]), model)
    image = painted(BOXES[1:2], [[128, 128, 128]])
    (head,) = pipeline(image, 0.0, CAMERA).heads
    ray = viewing_ray(CAMERA, (60, 75))
    assert head.perspective_corrected
    np.testing.assert_allclose(head.ray_rotation @ (0, 0, 1), ray)
    assert geodesic_deg(head.ray_rotation, np.eye(3)) == pytest.approx(
        np.degrees(np.arccos(ray[2]))
    )
    about_ray = orientation_covariance(head.paper_angles_deg, head.std_deg)
    turn = ray_rotation(ray)
    np.testing.assert_allclose(head.covariance, turn @ about_ray @ turn.T)
    # The sellion lies beside the ray, less than a head away from it, in front of the camera.
    assert np.linalg.norm(np.cross(ray, head.position)) < 0.2
    assert head.position[2] > 0
    assert (np.linalg.eigvalsh(head.position_covariance) > 0).all()


def test_correction_can_be_switched_off(model):
    config = PipelineConfig(perspective_correction=False)
    pipeline = HeadPosePipeline(GivenBoxes(BOXES[1:2]), model, config=config)
    (head,) = pipeline(np.zeros((480, 640, 3), np.uint8), 0.0, CAMERA).heads
    assert not head.perspective_corrected
    np.testing.assert_array_equal(head.ray_rotation, np.eye(3))
    assert np.isfinite(head.position).all()


def test_a_tracker_gives_ids_that_stay(model):
    pipeline = HeadPosePipeline(GivenBoxes(BOXES), model, Tracker(min_hits=2))
    image = np.zeros((480, 640, 3), np.uint8)
    first, second = (pipeline(image, stamp).heads for stamp in (0.0, 0.1))
    assert [head.face_id for head in first] == [head.face_id for head in second]
    assert len({head.face_id for head in first}) == 3
    assert [head.track_age for head in second] == [2, 2, 2]
    assert not any(head.confirmed for head in first)
    assert all(head.confirmed for head in second)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
        "photo.jpg",
    ],
)
def test_what_is_no_image_is_refused(model, image):
    with pytest.raises(ImageError, match="expected an image"):
        HeadPosePipeline(GivenBoxes(BOXES), model)(image, 0.0)


@pytest.mark.parametrize(
    "wrong", [{"max_faces": 0}, {"face_height_m": 0.0}, {"face_height_m": 19}]
)
def test_settings_out_of_range_are_refused_with_the_range(wrong):
    with pytest.raises(ValueError, match="expected"):
        PipelineConfig(**wrong)
