# SPDX-License-Identifier: Apache-2.0
"""Between detections faces are followed, and what is lost is looked for by the detector."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from headpose_core.faces.detection import GivenBoxes
from headpose_core.faces.face_detector import DetectorSettings
from headpose_core.faces.following import FaceFollower
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_messages import ENCODINGS
from headpose_core.images.image_view import ImageView, as_view
from headpose_core.images.video import VideoReader
from headpose_core.types import Faces


class Counting:
    """A detector that counts how often it is asked."""

    def __init__(self, detector) -> None:
        self.detector, self.settings, self.calls = detector, detector.settings, 0

    def detect(self, view: ImageView) -> Faces:
        self.calls += 1
        return self.detector.detect(view)


def find(follower: FaceFollower, detector, image: np.ndarray, every: int, most: int) -> Faces:
    return follower.find(detector, as_view(image), every, most)


def moved(image: np.ndarray, x: float, y: float) -> np.ndarray:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    return cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


@pytest.fixture(scope="module")
def face(astronaut) -> Faces:
    return YuNet().detect(as_view(astronaut))


@pytest.mark.parametrize("shift", [(0, 0), (7, 3), (-12.5, 9.25), (20, -20)])
def test_a_face_that_moves_is_followed(astronaut, face, shift) -> None:
    detector, follower = Counting(GivenBoxes(face.boxes, face.scores)), FaceFollower()
    find(follower, detector, astronaut, 5, 9)
    got = find(follower, detector, moved(astronaut, *shift), 5, 9)
    assert detector.calls == 1
    np.testing.assert_allclose(got.boxes - face.boxes, [np.tile(shift, 2)], atol=1.0)
    assert 0.7 * face.scores[0] <= got.scores[0] <= face.scores[0]
    back = find(follower, detector, astronaut, 5, 9)  # from where it was last
    np.testing.assert_allclose(back.boxes, face.boxes, atol=1.0)


def test_keypoints_go_with_their_face(astronaut, face) -> None:
    follower = FaceFollower()

    class Once:
        settings = DetectorSettings()

        def detect(self, view: ImageView) -> Faces:
            return face

    find(follower, Once(), astronaut, 5, 9)
    got = find(follower, Once(), moved(astronaut, 10, -6), 5, 9)
    np.testing.assert_allclose(
        got.keypoints - face.keypoints, np.full((1, 5, 2), (10, -6)), atol=1
    )


@pytest.mark.parametrize(("every", "calls"), [(1, 12), (2, 6), (3, 4), (5, 3), (100, 1)])
def test_the_detector_is_asked_every_so_often(astronaut, face, every, calls) -> None:
    detector, follower = Counting(GivenBoxes(face.boxes)), FaceFollower()
    for _ in range(12):
        find(follower, detector, astronaut, every, 9)
    assert detector.calls == calls


def test_a_lost_face_is_looked_for_at_once(astronaut, face) -> None:
    """Gone, behind something, or jumped too far."""
    hidden = astronaut.copy()
    x1, y1, x2, y2 = face.boxes[0].astype(int)
    hidden[y1:y2, x1:x2] = np.random.default_rng(0).integers(0, 255, 3)
    for other in (np.zeros_like(astronaut), hidden, moved(astronaut, 150, 0)):
        detector, follower = Counting(GivenBoxes(face.boxes)), FaceFollower()
        for image in (astronaut, other):
            find(follower, detector, image, 10, 9)
        assert detector.calls == 2


def test_after_a_reset_the_detector_is_asked(astronaut, face) -> None:
    detector, follower = Counting(GivenBoxes(face.boxes)), FaceFollower()
    find(follower, detector, astronaut, 10, 9)
    follower.reset()
    find(follower, detector, astronaut, 10, 9)
    assert detector.calls == 2


def test_while_there_is_no_face_the_detector_looks_each_time(astronaut) -> None:
    detector, follower = Counting(GivenBoxes([])), FaceFollower()
    for _ in range(3):
        assert len(find(follower, detector, astronaut, 10, 9)) == 0
    assert detector.calls == 3


def test_the_largest_faces_are_followed_and_no_others(astronaut) -> None:
    boxes = np.array([[10, 10, 60, 60], [200, 60, 300, 180], [100, 300, 180, 380]], np.float32)
    follower = FaceFollower()
    for _ in range(2):
        found = find(follower, GivenBoxes(boxes), astronaut, 3, 2)
        np.testing.assert_allclose(found.boxes, boxes[[1, 2]], atol=0.5)


def test_an_image_in_its_own_encoding_is_followed_alike(astronaut, face) -> None:
    boxes = []
    for order, encoding in ((1, "rgb8"), (-1, "bgr8")):
        follower = FaceFollower()
        for image in (astronaut, moved(astronaut, 6, 2)):
            view = ImageView(image[..., ::order], ENCODINGS[encoding])
            found = follower.find(GivenBoxes(face.boxes), view, 3, 9)
        boxes.append(found.boxes)
    np.testing.assert_array_equal(*boxes)


@pytest.mark.parametrize(
    ("change", "calls"),
    [
        (lambda settings: settings, 1),
        (lambda settings: replace(settings), 1),
        (lambda settings: replace(settings, max_side=settings.max_side + 1), 2),
        (lambda settings: replace(settings, turns=4), 2),
    ],
    ids=["the same object", "an equal one", "another side", "other turns"],
)
def test_new_detector_settings_make_it_detect_anew(astronaut, face, change, calls) -> None:
    detector, follower = Counting(GivenBoxes(face.boxes)), FaceFollower()
    find(follower, detector, astronaut, 100, 9)
    detector.settings = change(detector.settings)
    find(follower, detector, astronaut, 100, 9)
    assert detector.calls == calls
    find(follower, detector, astronaut, 100, 9)  # and goes on with what it found
    assert detector.calls == calls


def test_another_number_of_faces_makes_it_detect_anew(astronaut, face) -> None:
    detector, follower = Counting(GivenBoxes(face.boxes)), FaceFollower()
    for most in (9, 9, 8, 8):
        find(follower, detector, astronaut, 100, most)
    assert detector.calls == 2


def test_on_a_real_video_boxes_stay_on_the_face(car_video) -> None:
    """A man talking in a moving car: a third of the detections, boxes a hundredth of them off."""
    images = [image for _, image in VideoReader(car_video)]
    detector, follower = Counting(YuNet()), FaceFollower()
    expected = np.concatenate([detector.detect(as_view(image)).boxes[:1] for image in images])
    detector.calls = 0
    got = np.concatenate([find(follower, detector, image, 3, 1).boxes for image in images])
    assert detector.calls <= len(images) / 3 + 2
    sides = (expected[:, 2:] - expected[:, :2]).max(axis=1, keepdims=True)
    assert np.mean(np.abs(got - expected) / sides) < 0.02
    assert np.max(np.abs(got - expected) / sides) < 0.2
