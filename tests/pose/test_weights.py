# SPDX-License-Identifier: Apache-2.0
"""The shipped models on real photos: signs, axes, mirror; what their files say of themselves."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from headpose_core.drawing import draw_heads
from headpose_core.faces.detection import GivenBoxes
from headpose_core.faces.yunet import YuNet
from headpose_core.geometry.rotation import mirror_angles
from headpose_core.images.crop import square_boxes
from headpose_core.images.image_files import read_image
from headpose_core.images.image_view import as_view
from headpose_core.images.video import VideoReader
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.shipped import WEIGHTS, model_path, shipped_models
from headpose_core.types import Head, Image

loadmat = pytest.importorskip("scipy.io", reason="needs scipy to read labels").loadmat


# What each file may weigh, in bytes.
SHIPPED = {
    "ehpnet_resnet18": 25e6,
    "ehpnet_resnet18_int8": 12.5e6,
    "ehpnet_lite": 6e6,
    "ehpnet_lite_int8": 3.2e6,
}


@pytest.fixture(scope="module", params=["ehpnet_resnet18", "ehpnet_lite"])
def model(request: pytest.FixtureRequest) -> HeadPoseModel:
    return HeadPoseModel.load(request.param)


@pytest.fixture(scope="module")
def turned_faces(model: HeadPoseModel, shared_dir: Path) -> list[tuple[np.ndarray, Image, Head]]:
    """Label (yaw, pitch, roll), photo and head of AFLW2000 faces that are clearly turned."""
    pipeline = HeadPosePipeline(YuNet(), model)
    faces = []
    for path in sorted((shared_dir / "data/aflw2000").glob("*.jpg"))[:150]:
        pitch, yaw, roll = np.degrees(loadmat(path.with_suffix(".mat"))["Pose_Para"][0, :3])
        if 25 < abs(yaw) < 80 and abs(pitch) < 30 and abs(roll) < 30:
            photo = read_image(path)
            heads = pipeline(photo, 0.0).heads
            if len(heads) == 1:
                faces.append((np.array([yaw, pitch, roll]), photo, heads[0]))
    assert len(faces) >= 20
    return faces


def test_the_files_are_those_of_the_card() -> None:
    assert {file.stem for file in shipped_models()} == SHIPPED.keys()
    card = (WEIGHTS / "MODEL_CARD.md").read_text()
    for name, most in SHIPPED.items():
        assert model_path(name).stat().st_size < most
        assert f"`{name}`" in card


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_says_what_the_contract_and_the_card_say(name: str) -> None:
    told = HeadPoseModel.load(name).metadata
    assert told.name == name
    assert told.licence == "Apache-2.0"
    assert "render" in told.training_data.lower()
    assert (told.temperature > 0).all()
    assert f"version {told.version}" in (WEIGHTS / "MODEL_CARD.md").read_text().lower()


@pytest.mark.parametrize("name", ["ehpnet_resnet18", "ehpnet_lite"])
def test_integers_give_nearly_the_same_angles(name: str, astronaut: Image) -> None:
    box = YuNet().detect(as_view(astronaut)).boxes[:1]
    angles = [
        HeadPosePipeline(GivenBoxes(box), HeadPoseModel.load(each))(astronaut, 0.0).heads[0]
        for each in (name, f"{name}_int8")
    ]
    assert np.abs(angles[0].paper_angles_deg - angles[1].paper_angles_deg).max() < 1.5


def test_a_face_turned_to_the_images_left_has_positive_yaw(turned_faces) -> None:
    """On labelled photos, both ways."""
    right = [
        np.sign(head.paper_angles_deg[0]) == np.sign(label[0]) for label, _, head in turned_faces
    ]
    assert np.mean(right) > 0.97
    errors = [np.abs(head.paper_angles_deg - label) for label, _, head in turned_faces]
    assert (np.median(errors, axis=0) < 8).all()


def test_the_drawn_nose_points_where_the_face_is_turned(turned_faces) -> None:
    """For the estimated yaw, whose sign the test above holds to the labels."""
    for _, photo, head in turned_faces[:20]:
        drawn = draw_heads(np.full_like(photo, 60), [head]).astype(int)
        red = drawn[..., 0] - drawn[..., 1:].max(axis=-1) > 120
        centre = (head.box[0] + head.box[2]) / 2
        offset = np.flatnonzero(red.any(axis=0)).mean() - centre
        assert np.sign(offset) == -np.sign(head.paper_angles_deg[0])


def test_astronaut_looks_into_the_camera(model: HeadPoseModel, astronaut: Image) -> None:
    (head,) = HeadPosePipeline(YuNet(), model)(astronaut, 0.0).heads
    assert (np.abs(head.paper_angles_deg) < 20).all()
    assert not head.extrapolated


def test_mirrored_photo_has_mirrored_angles(model: HeadPoseModel, astronaut: Image) -> None:
    (face,) = YuNet().detect(as_view(astronaut)).boxes
    square = square_boxes(face[None])[0]
    width = astronaut.shape[1]
    mirrored_square = [[width - square[2], square[1], width - square[0], square[3]]]
    flipped = np.ascontiguousarray(astronaut[:, ::-1])
    (head,) = HeadPosePipeline(GivenBoxes(square[None]), model)(astronaut, 0.0).heads
    (mirrored,) = HeadPosePipeline(GivenBoxes(mirrored_square), model)(flipped, 0.0).heads
    difference = mirrored.paper_angles_deg - mirror_angles(head.paper_angles_deg)
    # 3 degrees on average, says the card, and pitch is the weakest angle.
    assert (np.abs(difference) < (6, 10, 6)).all()


def test_turning_the_photo_turns_the_roll(model: HeadPoseModel, astronaut: Image) -> None:
    """Clockwise is positive, and degrees are degrees."""
    box = YuNet().detect(as_view(astronaut)).boxes[0]
    x, y = (box[:2] + box[2:]) / 2
    centre = (float(x), float(y))
    rolls = {}
    for turn in (-20, 0, 20):
        # OpenCV counts counter-clockwise.
        M = cv2.getRotationMatrix2D(centre, -turn, 1.0)
        turned = cv2.warpAffine(astronaut, M, astronaut.shape[1::-1])
        (head,) = HeadPosePipeline(GivenBoxes(box[None]), model)(turned, 0.0).heads
        rolls[turn] = head.paper_angles_deg[2]
    assert rolls[20] - rolls[0] == pytest.approx(20, abs=7)
    assert rolls[0] - rolls[-20] == pytest.approx(20, abs=7)


def test_video_is_smooth(model: HeadPoseModel, car_video: Path) -> None:
    """30 images a second of a talking man: no jumps, and he stays within what heads do."""
    pipeline = HeadPosePipeline(YuNet(), model)
    frames = [pipeline(image, stamp) for stamp, image in VideoReader(car_video)]
    angles = np.array([frame.heads[0].paper_angles_deg for frame in frames])
    assert np.abs(angles).max() < 60
    assert np.median(np.abs(np.diff(angles, axis=0))) < 3
