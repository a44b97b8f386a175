# SPDX-License-Identifier: Apache-2.0
"""The paper's padding, faces cut by the border, resizing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpose_core.faces.detection import GivenBoxes
from headpose_core.images.crop import crop_faces, crop_windows, square_boxes
from headpose_core.images.image_view import as_view
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.pose.head_pose_model import HeadPoseModel
from tests.tiny_models import METADATA, write_tiny_model

corner = st.floats(-500, 2000)
extent = st.floats(0.5, 900)


@given(corner, corner, extent, extent)
def test_squares_are_square_contain_the_box_and_keep_its_centre(x, y, width, height):
    box = np.array([x, y, x + width, y + height])
    square = square_boxes(box[None])[0]
    assert square[2] - square[0] == square[3] - square[1]
    assert (square[:2] <= box[:2]).all()
    assert (square[2:] >= box[2:]).all()
    assert np.abs((square[:2] + square[2:]) / 2 - (box[:2] + box[2:]) / 2).max() <= 1.0
    assert square[2] - square[0] < max(width, height) + 2


def test_the_papers_example_half_of_k_on_each_side():
    np.testing.assert_array_equal(square_boxes([[10, 20, 50, 80]]), [[0, 20, 60, 80]])
    np.testing.assert_array_equal(square_boxes([[10, 20, 70, 40]]), [[10, 0, 70, 60]])


@given(st.integers(-200, 200), st.integers(-200, 200), st.integers(1, 300))
def test_pixels_inside_are_kept_and_outside_is_black(x, y, side):
    """Cut without resizing and compare with the same window of a padded image."""
    image = np.random.default_rng(0).integers(1, 256, (90, 120, 3), dtype=np.uint8)
    padded = np.pad(image, ((200, 500), (200, 500), (0, 0)))
    crop = crop_faces(as_view(image), [[x, y, x + side, y + side]], size=side)[0]
    np.testing.assert_array_equal(crop, padded[y + 200 : y + 200 + side, x + 200 : x + 200 + side])


def test_shrinking_averages_and_enlarging_interpolates():
    stripes = np.zeros((224, 224, 3), np.uint8)
    stripes[:, ::2] = 200
    np.testing.assert_array_equal(crop_faces(as_view(stripes), [[0, 0, 224, 224]]), 100)
    ramp = np.zeros((56, 56, 3), np.uint8)
    ramp[:] = np.arange(0, 224, 4, dtype=np.uint8)[None, :, None]
    enlarged = crop_faces(as_view(ramp), [[0, 0, 56, 56]])[0, 50, :, 0].astype(int)
    np.testing.assert_array_equal(np.diff(enlarged[2:-2]), 2)


def test_many_faces_and_none():
    image = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    squares = np.array([[0, 0, 50, 50], [-20, 60, 40, 120]])
    both = crop_faces(as_view(image), squares)
    for crop, square in zip(both, squares, strict=True):
        np.testing.assert_array_equal(crop, crop_faces(as_view(image), square[None])[0])
    assert crop_faces(as_view(image), np.empty((0, 4))).shape == (0, 112, 112, 3)
    assert square_boxes(np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("side", [1, 111, 112, 113, 500])
def test_every_size_of_face_gives_the_networks_input(side):
    crop = crop_faces(as_view(np.full((600, 600, 3), 7, np.uint8)), [[3, 5, 3 + side, 5 + side]])
    assert crop.shape == (1, 112, 112, 3)
    np.testing.assert_array_equal(crop, 7)


@given(corner, corner, extent, extent)
def test_a_stretched_window_is_the_box_in_whole_pixels(x, y, width, height):
    box = np.array([x, y, x + width, y + height])
    window = crop_windows(box[None], "stretch")[0]
    assert (window[:2] <= box[:2]).all() and (window[:2] >= box[:2] - 1).all()
    assert (window[2:] >= box[2:]).all() and (window[2:] <= box[2:] + 1).all()
    np.testing.assert_array_equal(crop_windows(box[None]), square_boxes(box[None]))


def test_padding_keeps_proportions_and_stretching_fills_the_crop():
    face = np.zeros((200, 200, 3), np.uint8)
    face[20:180, 60:140] = 255  # twice as high as wide
    box = [[60, 20, 140, 180]]
    padded = crop_faces(as_view(face), crop_windows(box, "pad"))[0, :, :, 0]
    np.testing.assert_array_equal(padded[50] > 127, np.abs(np.arange(112) - 55.5) < 28)
    stretched = crop_faces(as_view(face), crop_windows(box, "stretch"))[0]
    np.testing.assert_array_equal(stretched, 255)


def test_the_pipeline_crops_as_the_model_file_says(tmp_path):
    """The tiny model's yaw is the brightness of its crop: what padding adds here is black."""
    image = np.zeros((200, 200, 3), np.uint8)
    image[20:180, 60:140] = 255
    yaws = {}
    for crop in ("pad", "stretch"):
        properties = replace(METADATA, crop=crop).to_properties()
        model = HeadPoseModel.load(
            write_tiny_model(tmp_path / f"{crop}.onnx", properties=properties)
        )
        assert model.metadata.crop == crop
        (head,) = HeadPosePipeline(GivenBoxes([[60, 20, 140, 180]]), model)(image, 0.0).heads
        yaws[crop] = head.paper_angles_deg[0]
    assert yaws["pad"] == pytest.approx(0.0, abs=2.0)  # half of the crop is bright
    assert yaws["stretch"] > 85.0
