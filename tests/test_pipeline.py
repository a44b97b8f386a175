# SPDX-License-Identifier: Apache-2.0
"""The whole way from pixels to heads, with a real session and painted faces of known pose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headpose_core.errors import ImageError
from headpose_core.faces.detection import GivenBoxes
from headpose_core.faces.face_detector import DetectorSettings
from headpose_core.faces.tracking import Tracker
from headpose_core.faces.yunet import YuNet
from headpose_core.geometry.camera_model import ray_rotation, viewing_ray
from headpose_core.geometry.orientation_filter import FilterSettings
from headpose_core.geometry.rotation import (
    angles_from_matrix,
    geodesic_deg,
    matrix_from_angles,
    orientation_covariance,
)
from headpose_core.images.image_messages import ENCODINGS
from headpose_core.images.image_view import ImageView
from headpose_core.pipeline import STAGES, HeadPosePipeline, PipelineSettings
from headpose_core.pose.bins import BIN_CENTRES_DEG
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.types import Camera
from tests.tiny_models import write_tiny_model

CAMERA = Camera(640, 480, np.array([[400.0, 0, 320], [0, 400, 240], [0, 0, 1]]))
DISTORTED = replace(CAMERA, D=np.array([-0.28, 0.07, 0.0, 0.0, 0.0]), distortion_model="plumb_bob")
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


def test_heads_have_the_pose_of_their_crop(model):
    boxes = BOXES[:2]
    colours = np.array([[200, 130, 100], [60, 90, 180]])
    frame = HeadPosePipeline(GivenBoxes(boxes, [0.9, 0.8]), model)(painted(boxes, colours), 12.5)
    assert frame.stamp_s == 12.5
    for head, face in zip(frame.heads, (1, 0), strict=True):
        np.testing.assert_array_equal(head.box, boxes[face])
        assert head.score == pytest.approx((0.9, 0.8)[face])
        expected = np.interp(colours[face] / 255 * 61, np.arange(62), BIN_CENTRES_DEG)
        np.testing.assert_allclose(head.paper_angles_deg, expected, atol=1.0)
        np.testing.assert_allclose(head.rotation, matrix_from_angles(head.paper_angles_deg))
        assert head.face_id == ""
    assert tuple(frame.timings_ms) == STAGES


def test_the_temperature_of_the_model_file_widens_the_angles(model):
    head = HeadPosePipeline(GivenBoxes(BOXES[1:2]), model)(
        np.full((480, 640, 3), 128, np.uint8), 0.0
    )
    np.testing.assert_allclose(
        head.heads[0].std_deg / 3, np.sqrt(model.metadata.temperature), rtol=0.02
    )


def test_only_the_largest_faces_are_kept(model):
    pipeline = HeadPosePipeline(GivenBoxes(BOXES), model, settings=PipelineSettings(max_faces=2))
    heads = pipeline(np.zeros((480, 640, 3), np.uint8), 0.0).heads
    np.testing.assert_array_equal([head.box for head in heads], BOXES[[2, 1]])


@pytest.mark.parametrize("camera", [None, CAMERA, DISTORTED])
def test_an_image_without_faces_has_no_heads(model, camera):
    pipeline = HeadPosePipeline(GivenBoxes([]), model, Tracker())
    assert pipeline(np.zeros((480, 640, 3), np.uint8), 1.0, camera).heads == ()


def test_uncalibrated_heads_have_angles_but_no_position(model):
    for camera in (None, Camera(640, 480, np.zeros((3, 3)))):
        pipeline = HeadPosePipeline(GivenBoxes(BOXES[:1]), model)
        (head,) = pipeline(np.zeros((480, 640, 3), np.uint8), 0.0, camera).heads
        assert not head.perspective_corrected
        np.testing.assert_array_equal(head.ray_rotation, np.eye(3))
        assert np.isnan(head.position).all()
        assert np.isnan(head.position_covariance).all()


def test_a_calibrated_camera_turns_the_pose_by_the_faces_ray(model):
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


def test_covariance_in_the_optical_frame_agrees_with_monte_carlo(model):
    """Angles drawn with the spread that the head tells, turned by its ray."""
    pipeline = HeadPosePipeline(GivenBoxes(BOXES[1:2]), model)
    (head,) = pipeline(painted(BOXES[1:2], [[200, 90, 150]]), 0.0, CAMERA).heads
    drawn = np.random.default_rng(0).normal(head.paper_angles_deg, head.std_deg, (100_000, 3))
    orientations = head.ray_rotation @ matrix_from_angles(drawn)
    turns = orientations @ (head.ray_rotation @ head.rotation).T
    parts = [turns[:, i, j] - turns[:, j, i] for i, j in ((2, 1), (0, 2), (1, 0))]
    vectors = np.stack(parts, axis=1) / 2  # of a small turn
    measured = vectors.T @ vectors / len(vectors)
    np.testing.assert_allclose(measured, head.covariance, atol=0.03 * np.trace(measured))
    untold = head.ray_rotation.T @ head.covariance @ head.ray_rotation
    assert np.abs(measured - untold).max() > 0.1 * np.trace(measured)


def test_orientations_are_filtered_and_paper_angles_are_not(model):
    pipeline = HeadPosePipeline(GivenBoxes(BOXES[:1]), model, Tracker())
    before, after = [[100, 128, 128]], [[180, 128, 128]]
    pipeline(painted(BOXES[:1], before), 0.0, CAMERA)
    (head,) = pipeline(painted(BOXES[:1], after), 1 / 30, CAMERA).heads
    own = matrix_from_angles(head.paper_angles_deg)
    held_back = geodesic_deg(head.rotation, own)
    assert held_back > 3.0
    # What it lags behind is told.
    lag = np.radians(held_back)
    assert np.trace(head.covariance) > lag**2

    pipeline.filter.settings = FilterSettings(enabled=False)
    (head,) = pipeline(painted(BOXES[:1], after), 2 / 30, CAMERA).heads
    np.testing.assert_allclose(head.rotation, own, atol=1e-12)


def test_a_head_that_moves_without_turning_is_not_held_back(model):
    """About its ray it turns, in the optical frame it does not: that is where it is filtered."""
    pipeline = HeadPosePipeline(None, model, Tracker())
    places = np.arange(60, 580, 40)
    orientation = matrix_from_angles((5.0, -10.0, 3.0))
    for i, x in enumerate(places):
        box = np.array([[x - 30, 200, x + 30, 270]], np.float32)
        about_ray = ray_rotation(viewing_ray(CAMERA, (x, 235.0))).T @ orientation
        levels = (angles_from_matrix(about_ray) - BIN_CENTRES_DEG[0]) / 3 / 61 * 255
        pipeline.detector = GivenBoxes(box)
        image = painted(box, [np.round(levels)])
        (head,) = pipeline(image, i / 30, CAMERA).heads
        # Colours are whole numbers: 0.7 degrees of an angle each.
        assert geodesic_deg(head.ray_rotation @ head.rotation, orientation) < 1.5
        assert geodesic_deg(head.rotation, matrix_from_angles(head.paper_angles_deg)) < 1.5
    assert head.track_age == len(places)


def test_a_moving_camera_is_filtered_in_the_fixed_frame(model):
    """The camera rolls; told so, the still head is not smeared; with NaN it is not filtered."""
    roll = matrix_from_angles((0.0, 0.0, 20.0))
    image, turned = (
        painted(BOXES[:1], [[128, 128, round((roll_deg + 91.5) / 3 / 61 * 255)]])
        for roll_deg in (0.0, -20.0)
    )
    for axes, most, least in ((roll, 1.0, 0.0), (None, 20.0, 5.0), (roll * np.nan, 1e-6, 0.0)):
        pipeline = HeadPosePipeline(GivenBoxes(BOXES[:1]), model, Tracker())
        pipeline(image, 0.0, None, None if axes is None else np.eye(3))
        (head,) = pipeline(turned, 1 / 30, None, axes).heads
        held_back = geodesic_deg(head.rotation, matrix_from_angles(head.paper_angles_deg))
        assert least <= held_back <= most


@pytest.mark.parametrize(
    ("camera", "size"),
    [
        (None, (480, 640)),
        (replace(CAMERA, K=CAMERA.K * (1.3, 1, 1)), (480, 640)),
        (CAMERA, (600, 640)),
    ],
)
def test_another_camera_is_not_filtered_with_the_last_one(model, camera, size):
    pipeline = HeadPosePipeline(GivenBoxes(BOXES[:1]), model, Tracker())
    (first,) = pipeline(painted(BOXES[:1], [[100, 128, 128]]), 0.0, CAMERA).heads
    image = np.zeros((*size, 3), np.uint8)
    image[:480] = painted(BOXES[:1], [[180, 128, 128]])
    (head,) = pipeline(image, 1 / 30, camera).heads
    np.testing.assert_allclose(
        head.rotation, matrix_from_angles(head.paper_angles_deg), atol=1e-12
    )
    assert (head.face_id == first.face_id) == (size == (480, 640))


def test_correction_can_be_switched_off(model):
    settings = PipelineSettings(perspective_correction=False)
    pipeline = HeadPosePipeline(GivenBoxes(BOXES[1:2]), model, settings=settings)
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
        None,
    ],
)
def test_what_is_no_image_is_refused(model, image):
    with pytest.raises(ImageError, match="expected an image"):
        HeadPosePipeline(GivenBoxes(BOXES), model)(image, 0.0)


NOISE = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)


class Counting(GivenBoxes):
    """A detector that counts how often it is asked."""

    calls = 0

    def detect(self, view):
        self.calls += 1
        return super().detect(view)


def test_faces_are_looked_for_every_so_often(model):
    detector = Counting(BOXES[1:2])
    pipeline = HeadPosePipeline(
        detector, model, Tracker(), PipelineSettings(detect_every=3, max_faces=1)
    )
    heads = [pipeline(NOISE, number / 30).heads[0] for number in range(7)]
    assert detector.calls == 3
    assert {head.face_id for head in heads} == {heads[0].face_id}
    for head in heads:
        np.testing.assert_allclose(head.box, BOXES[1], atol=0.5)


@pytest.mark.parametrize(
    ("stamp_s", "image", "known"),
    [
        (10.1, NOISE, True),
        (10.0, NOISE, True),  # a camera without a clock
        (9.9, NOISE, False),  # a bag that loops
        (10.6, NOISE, False),  # longer than a track may be missing
        (10.1, NOISE[:, :600], False),
    ],
)
def test_where_tracks_end_faces_are_looked_for_anew(model, stamp_s, image, known):
    detector = Counting(BOXES[1:2])
    pipeline = HeadPosePipeline(
        detector, model, Tracker(max_gap_s=0.5), PipelineSettings(detect_every=100)
    )
    pipeline(NOISE, 9.95)
    (first,) = pipeline(NOISE, 10.0).heads
    (head,) = pipeline(image, stamp_s).heads
    assert (detector.calls == 1) == (head.face_id == first.face_id) == known


def test_a_reset_forgets_all_faces(model):
    detector = Counting(BOXES[1:2])
    for tracker in (Tracker(), None):
        detector.calls = 0
        pipeline = HeadPosePipeline(detector, model, tracker, PipelineSettings(detect_every=100))
        (first,) = pipeline(NOISE, 0.0).heads
        pipeline.reset()
        (head,) = pipeline(NOISE, 0.1).heads
        assert detector.calls == 2
        assert (head.face_id != first.face_id) == (tracker is not None)


def test_new_detector_settings_count_from_the_next_image(model):
    detector = Counting(BOXES[1:2])
    settings = PipelineSettings(detect_every=100)
    pipeline = HeadPosePipeline(detector, model, Tracker(), settings)
    stamps = iter(np.arange(10) / 30)
    pipeline(NOISE, next(stamps))
    pipeline.detector.settings = pipeline.detector.settings  # the same object is no change
    assert len(pipeline(NOISE, next(stamps)).heads) == 1
    assert detector.calls == 1
    side = float((BOXES[1, 2:] - BOXES[1, :2]).max())
    pipeline.detector.settings = replace(pipeline.detector.settings, min_face_size=side + 1)
    assert pipeline(NOISE, next(stamps)).heads == ()
    assert detector.calls == 2


def test_a_detector_keeps_the_settings_it_was_built_with(model, astronaut):
    detector = YuNet(max_side=2048, score_threshold=0.7)
    pipeline = HeadPosePipeline(detector, model, Tracker())
    pipeline(astronaut, 0.0)
    pipeline.settings = replace(pipeline.settings, max_faces=3)
    pipeline(astronaut, 0.1)
    assert detector.settings == DetectorSettings(max_side=2048, score_threshold=0.7)
    assert pipeline.detector is detector


def test_every_kind_of_setting_changes_between_two_images(model):
    pipeline = HeadPosePipeline(GivenBoxes(BOXES), model, Tracker(min_hits=100))
    assert [head.confirmed for head in pipeline(NOISE, 0.0).heads] == [False] * 3
    pipeline.settings = replace(pipeline.settings, max_faces=1)
    pipeline.tracker.settings = replace(pipeline.tracker.settings, min_hits=1)
    assert [head.confirmed for head in pipeline(NOISE, 0.1).heads] == [True]


def test_a_view_gives_what_its_array_gives(model):
    image = painted(BOXES[:2], np.array([[200, 130, 100], [60, 90, 180]]))
    bgr = ImageView(image[..., ::-1], ENCODINGS["bgr8"])
    array, view = (
        HeadPosePipeline(GivenBoxes(BOXES[:2]), model)(each, 0.0).heads for each in (image, bgr)
    )
    for expected, head in zip(array, view, strict=True):
        np.testing.assert_array_equal(head.paper_angles_deg, expected.paper_angles_deg)
