# SPDX-License-Identifier: Apache-2.0
"""Between detections faces are followed, and what is lost is looked for by the detector."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from headpose_core.faces.detection import GivenBoxes, YuNet
from headpose_core.faces.following import FaceFinder
from headpose_core.images.image_view import ImageView
from headpose_core.images.video import VideoReader
from headpose_core.types import Faces


class Counting:
    """A detector that counts how often it is asked."""

    def __init__(self, detector) -> None:
        self.detector, self.calls = detector, 0

    def detect(self, image) -> Faces:
        self.calls += 1
        return self.detector.detect(image)


def moved(image: np.ndarray, x: float, y: float) -> np.ndarray:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    return cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


@pytest.fixture(scope="module")
def face(astronaut) -> Faces:
    return YuNet().detect(astronaut)


@pytest.mark.parametrize("shift", [(0, 0), (7, 3), (-12.5, 9.25), (20, -20)])
def test_a_face_that_moves_is_followed(astronaut, face, shift) -> None:
    detector, finder = Counting(GivenBoxes(face.boxes, face.scores)), FaceFinder()
    finder.find(detector, astronaut, 5, 9)
    got = finder.find(detector, moved(astronaut, *shift), 5, 9)
    assert detector.calls == 1
    np.testing.assert_allclose(got.boxes - face.boxes, [np.tile(shift, 2)], atol=1.0)
    assert 0.7 * face.scores[0] <= got.scores[0] <= face.scores[0]
    back = finder.find(detector, astronaut, 5, 9)  # from where it was last
    np.testing.assert_allclose(back.boxes, face.boxes, atol=1.0)


def test_keypoints_go_with_their_face(astronaut, face) -> None:
    finder = FaceFinder()

    class Once:
        def detect(self, image) -> Faces:
            return face

    finder.find(Once(), astronaut, 5, 9)
    got = finder.find(Once(), moved(astronaut, 10, -6), 5, 9)
    np.testing.assert_allclose(
        got.keypoints - face.keypoints, np.full((1, 5, 2), (10, -6)), atol=1
    )


@pytest.mark.parametrize(("every", "calls"), [(1, 12), (2, 6), (3, 4), (5, 3), (100, 1)])
def test_the_detector_is_asked_every_so_often(astronaut, face, every, calls) -> None:
    detector, finder = Counting(GivenBoxes(face.boxes)), FaceFinder()
    for _ in range(12):
        finder.find(detector, astronaut, every, 9)
    assert detector.calls == calls


def test_a_lost_face_is_looked_for_at_once(astronaut, face) -> None:
    """Gone, behind something, or jumped too far."""
    hidden = astronaut.copy()
    x1, y1, x2, y2 = face.boxes[0].astype(int)
    hidden[y1:y2, x1:x2] = np.random.default_rng(0).integers(0, 255, 3)
    for other in (np.zeros_like(astronaut), hidden, moved(astronaut, 150, 0)):
        detector, finder = Counting(GivenBoxes(face.boxes)), FaceFinder()
        for image in (astronaut, other):
            finder.find(detector, image, 10, 9)
        assert detector.calls == 2


def test_after_a_reset_the_detector_is_asked(astronaut, face) -> None:
    detector, finder = Counting(GivenBoxes(face.boxes)), FaceFinder()
    finder.find(detector, astronaut, 10, 9)
    finder.reset()
    finder.find(detector, astronaut, 10, 9)
    assert detector.calls == 2


def test_while_there_is_no_face_the_detector_looks_each_time(astronaut) -> None:
    detector, finder = Counting(GivenBoxes([])), FaceFinder()
    for _ in range(3):
        assert len(finder.find(detector, astronaut, 10, 9)) == 0
    assert detector.calls == 3


def test_the_largest_faces_are_followed_and_no_others(astronaut) -> None:
    boxes = np.array([[10, 10, 60, 60], [200, 60, 300, 180], [100, 300, 180, 380]], np.float32)
    finder = FaceFinder()
    for _ in range(2):
        found = finder.find(GivenBoxes(boxes), astronaut, 3, 2)
        np.testing.assert_allclose(found.boxes, boxes[[1, 2]], atol=0.5)


def test_an_image_as_it_came_is_followed_alike(astronaut, face) -> None:
    boxes = []
    for make in (lambda image: image, lambda image: ImageView(image)):
        finder = FaceFinder()
        for image in (astronaut, moved(astronaut, 6, 2)):
            found = finder.find(GivenBoxes(face.boxes), make(image), 3, 9)
        boxes.append(found.boxes)
    np.testing.assert_array_equal(*boxes)


def test_on_a_real_video_boxes_stay_on_the_face(car_video) -> None:
    """A man talking in a moving car: a third of the detections, boxes a hundredth of them off."""
    images = [image for _, image in VideoReader(car_video)]
    detector, finder = Counting(YuNet()), FaceFinder()
    expected = np.concatenate([detector.detect(image).largest(1).boxes for image in images])
    detector.calls = 0
    got = np.concatenate([finder.find(detector, image, 3, 1).boxes for image in images])
    assert detector.calls <= len(images) / 3 + 2
    sides = (expected[:, 2:] - expected[:, :2]).max(axis=1, keepdims=True)
    assert np.mean(np.abs(got - expected) / sides) < 0.02
    assert np.max(np.abs(got - expected) / sides) < 0.2
