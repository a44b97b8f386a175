# SPDX-License-Identifier: Apache-2.0
"""Rendered heads: labels, crops and reproducibility, on real renderings."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

pytest.importorskip("moderngl")
pytest.importorskip("scipy")

from headpose_core.faces.yunet import YuNet
from headpose_core.geometry.rotation import geodesic_deg, matrix_from_angles
from headpose_core.images.crop import crop_faces, square_boxes
from headpose_core.images.image_view import as_view
from training.synthesis.camera import place_camera
from training.synthesis.materials import dressed, skin_detail
from training.synthesis.renderer import Look
from training.synthesis.scene import FRAME_SIZE, sample_scene
from training.synthesis.zero_pose import OPTICAL_TO_VIEW, ZERO_POSE

if TYPE_CHECKING:
    from training.synthesis.engine import Engine, Sample

IN_FRONT = {"distance_m": 1.5, "offset_share": (0.03, -0.02), "expression": {}}


@pytest.fixture(scope="module")
def samples(engine: Engine) -> list[Sample]:
    return [engine.sample(index) for index in range(24)]


def _keypoints(engine: Engine, angles: tuple[float, float, float]) -> np.ndarray:
    """The detector's five points (people,5,2), image-left ones first, on well-lit heads turned
    as asked: eyes, nose, mouth corners."""
    detector, found = YuNet(), []
    scene = sample_scene(np.random.default_rng(5))
    lighting = replace(scene.lighting, shadow=0.0, ground=(0.5,) * 3, sky=(0.7,) * 3)
    scene = replace(
        scene, angles_deg=angles, lighting=lighting, clutter_seed=1, **IN_FRONT
    )  # this clutter has nothing in front of the face
    for number in range(12):
        person = replace(engine.person(number), glasses=None, mask_colour=None, beard=0.0)
        if person.covering is not None:
            continue
        faces = detector.detect(as_view(engine.render(0, person, scene).frame))
        if len(faces) and faces.keypoints is not None:
            found.append(faces.keypoints[0])
    assert len(found) > 6
    return np.array(found, float)


def test_the_picture_shows_what_the_label_says(engine: Engine) -> None:
    """Signs of the paper, seen by the detector in the rendered pixels."""
    nose_right_of_eyes = []
    for yaw in (-40, 0, 40):
        left, right, nose, *_ = np.moveaxis(_keypoints(engine, (yaw, 0, 0)), 1, 0)
        nose_right_of_eyes.append(np.median((nose - (left + right) / 2)[:, 0]))
    # yaw > 0: nose to image left
    assert nose_right_of_eyes[0] - 8 > nose_right_of_eyes[1] > nose_right_of_eyes[2] + 8
    nose_below_eyes = []
    for pitch in (-25, 25):
        left, right, nose, mouth, other = np.moveaxis(_keypoints(engine, (0, pitch, 0)), 1, 0)
        eyes, mouth = (left + right) / 2, (mouth + other) / 2
        nose_below_eyes.append(np.median((nose - eyes)[:, 1] / (mouth - eyes)[:, 1]))
    assert nose_below_eyes[1] < nose_below_eyes[0] - 0.03  # pitch > 0: nose up, near the eyes
    slopes = []
    for roll in (-30, 30):
        left, right, *_ = np.moveaxis(_keypoints(engine, (0, 0, roll)), 1, 0)
        slopes.append(np.degrees(np.median(np.arctan2(*(right - left).T[::-1]))))
    assert slopes[0] < -3 and slopes[1] > 3  # roll > 0: clockwise in the image


@pytest.mark.parametrize("angles", [(0, 0, 0), (35, 10, -20), (-70, -15, 40)])
@pytest.mark.parametrize("distance", [0.3, 4.0])
def test_landmarks_lie_on_the_rendered_pixels(
    engine: Engine, angles: tuple[float, float, float], distance: float
) -> None:
    """Eyeballs drawn alone cover the landmarks of the eyes."""
    person = engine.person(2)
    scene = replace(
        sample_scene(np.random.default_rng(5)),
        angles_deg=angles,
        **IN_FRONT | {"distance_m": distance},
    )
    head = engine.builder.build(person, scene)
    camera, points = place_camera(head, scene, FRAME_SIZE)
    eyes = [item for item in dressed(head, person) if item[1].look == Look.EYE]
    drawn = engine.renderer.render(eyes, skin_detail(person), camera, scene.lighting)[..., 3] > 0
    assert drawn.any() and not drawn.all()
    centre = np.argwhere(drawn).mean(0)[::-1]
    # The lids, where the landmarks are, lie a centimetre before the middle of the eyeballs.
    np.testing.assert_allclose(
        points[36:48].mean(0), centre, atol=0.09 * scene.face_share * FRAME_SIZE
    )


@pytest.mark.parametrize("distance", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("angles", [(0, 0, 0), (60, 20, -30), (-85, -40, 50)])
def test_label_is_the_rotation_about_the_viewing_ray(
    engine: Engine, angles: tuple[float, float, float], distance: float
) -> None:
    """A perspective-n-point solver, which knows nothing of the label, finds the same rotation."""
    scene = replace(sample_scene(np.random.default_rng(5)), angles_deg=angles, distance_m=distance)
    head = engine.builder.build(engine.person(0), scene)
    camera, points = place_camera(head, scene, FRAME_SIZE)
    marks = (head.landmarks - head.centre) @ (OPTICAL_TO_VIEW @ ZERO_POSE).T
    middle = (np.array(scene.offset_share) + 0.5) * FRAME_SIZE
    K = np.array([[camera.focal_px, 0, middle[0]], [0, camera.focal_px, middle[1]], [0, 0, 1]])
    # Both are OpenCV's own: a first guess, then Levenberg and Marquardt's refinement.
    _, rvec, tvec = cv2.solvePnP(marks.astype(float), points, K, None, flags=cv2.SOLVEPNP_SQPNP)
    rvec, _ = cv2.solvePnPRefineLM(marks.astype(float), points, K, None, rvec, tvec)
    assert geodesic_deg(cv2.Rodrigues(rvec)[0], matrix_from_angles(angles)) < 0.1
    box_centre = (points.min(0) + points.max(0)) / 2
    assert np.abs(box_centre - middle).max() < 0.5  # the face is on the optical axis


def test_training_crop_equals_the_crop_of_run_time(samples: list[Sample]) -> None:
    """Rendered frame -> detector -> crop, against context image -> stored box -> crop."""
    detector = YuNet()
    compared = 0
    for sample in samples:
        if not sample.detected:
            continue
        boxes = detector.detect(as_view(sample.frame)).boxes
        best = boxes[np.abs(boxes - sample.frame_box).sum(1).argmin()]
        run_time = crop_faces(as_view(sample.frame), square_boxes(best[None]))[0].astype(float)
        context = as_view(sample.context)
        training = crop_faces(context, square_boxes(sample.box[None]))[0].astype(float)
        # Resampled twice, the training crop is a little softer, most where leaves and hair are;
        # it must not be shifted.
        assert np.abs(run_time - training).mean() < 9
        shift, _ = cv2.phaseCorrelate(run_time.mean(2), training.mean(2))
        assert np.abs(shift).max() < 1.0
        compared += 1
    assert compared >= 12


def test_most_faces_are_found_and_boxes_lie_in_the_context(samples: list[Sample]) -> None:
    assert np.mean([s.detected for s in samples]) > 0.6
    for sample in samples:
        centre = (sample.box[:2] + sample.box[2:]) / 2
        np.testing.assert_allclose(centre, 76, atol=1.5)
        assert np.ptp(sample.box.reshape(2, 2), axis=0).max() == pytest.approx(112.5, abs=3)


def test_an_image_depends_on_its_number_alone(engine: Engine, samples: list[Sample]) -> None:
    for index in (17, 3, 9):  # out of order, after other people
        again = engine.sample(index)
        np.testing.assert_array_equal(again.frame, samples[index].frame)
        np.testing.assert_array_equal(again.context, samples[index].context)
        assert again.scene == samples[index].scene


def test_pictures_differ_and_show_something(samples: list[Sample]) -> None:
    for first, second in pairwise(samples):
        assert np.abs(first.frame.astype(int) - second.frame).mean() > 10
    spread = [s.context.std() for s in samples]
    assert min(spread) > 8
