# SPDX-License-Identifier: Apache-2.0
"""What is drawn is where the head looks: pixels of known colours in known places."""

from __future__ import annotations

import numpy as np
import pytest

from headpose_core.drawing import draw_heads, readable_zoom
from headpose_core.geometry.camera_model import ray_rotation
from headpose_core.geometry.rotation import matrix_from_angles, orientation_covariance
from headpose_core.types import Head

BOX = np.array([270, 180, 370, 300], np.float32)
CENTRE = np.array([320.0, 240.0])


def head(angles=(0.0, 0.0, 0.0), box=BOX, std=(3.0, 3.0, 3.0), **fields) -> Head:
    """A head of this pose, without a camera."""
    unknown = np.full((3, 3), np.nan)
    known = {
        "box": np.asarray(box, np.float32),
        "score": 0.9,
        "paper_angles_deg": np.array(angles, float),
        "std_deg": np.array(std, float),
        "extrapolated": False,
        "rotation": matrix_from_angles(angles),
        "ray_rotation": np.eye(3),
        "covariance": orientation_covariance(angles, std),
        "position": unknown[0],
        "position_covariance": unknown,
        "perspective_corrected": False,
    }
    return Head(**{**known, **fields})


def where(image: np.ndarray, channel: int) -> np.ndarray:
    """Pixels (N, 2) x, y in which this channel stands out."""
    others = np.delete(image.astype(int), channel, axis=2).max(axis=2)
    rows, columns = np.nonzero(image[..., channel].astype(int) - others > 70)
    return np.stack([columns, rows], axis=1)


def black(height: int = 480, width: int = 640) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


@pytest.mark.parametrize("yaw", [-70, -30, 30, 70])
@pytest.mark.parametrize("pitch", [-40, 0, 40])
def test_the_red_axis_points_where_the_nose_points(yaw: int, pitch: int) -> None:
    red = where(draw_heads(black(), [head((yaw, pitch, 0))]), 0).mean(axis=0) - CENTRE
    assert np.sign(red[0]) == -np.sign(yaw)  # yaw > 0: to the image's left
    if pitch:
        assert np.sign(red[1]) == -np.sign(pitch)  # pitch > 0: up


@pytest.mark.parametrize("roll", [-40, 0, 40])
def test_blue_goes_to_the_crown_and_green_to_the_persons_left(roll: int) -> None:
    image = draw_heads(black(), [head((0, 0, roll))])
    blue, green = (where(image, channel).mean(axis=0) - CENTRE for channel in (2, 1))
    turned = np.radians(roll)
    assert blue / np.linalg.norm(blue) == pytest.approx((np.sin(turned), -np.cos(turned)), abs=0.1)
    assert green / np.linalg.norm(green) == pytest.approx(
        (np.cos(turned), np.sin(turned)), abs=0.1
    )


def test_an_uncertain_nose_has_a_wide_tip() -> None:
    sure, unsure = (where(draw_heads(black(), [head(std=(s, s, s))]), 0) for s in (2.0, 25.0))
    assert np.ptp(unsure, axis=0).min() > 2 * np.ptp(sure, axis=0).max()


def test_the_spread_of_one_angle_lies_along_its_movement() -> None:
    wide = np.ptp(where(draw_heads(black(), [head(std=(25, 2, 2))]), 0), axis=0)
    high = np.ptp(where(draw_heads(black(), [head(std=(2, 25, 2))]), 0), axis=0)
    assert wide[0] > 2 * wide[1]
    assert high[1] > 2 * high[0]


def test_the_ray_of_a_head_does_not_change_how_it_looks() -> None:
    R_ray = ray_rotation(np.array([0.6, 0.0, 0.8]))
    std = (20.0, 2.0, 9.0)
    turned = R_ray @ orientation_covariance((10, 20, 30), std) @ R_ray.T
    plain = draw_heads(black(), [head((10, 20, 30), std=std)])
    same = draw_heads(
        black(), [head((10, 20, 30), std=std, ray_rotation=R_ray, covariance=turned)]
    )
    assert np.abs(plain.astype(int) - same).max() <= 1


def test_the_image_itself_is_not_touched() -> None:
    image = black()
    image.flags.writeable = False
    assert draw_heads(image, [head()]).any()
    assert not image.any()


def test_no_heads_no_strokes() -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    np.testing.assert_array_equal(draw_heads(image, []), image)


def test_zoom_puts_everything_in_its_place() -> None:
    plain = where(draw_heads(black(), [head((60, 20, 0))]), 0).mean(axis=0)
    large = where(draw_heads(black(), [head((60, 20, 0))], zoom=3.0), 0).mean(axis=0)
    np.testing.assert_allclose(large, 3 * plain, atol=6)


@pytest.mark.parametrize(
    ("size", "zoom"), [((144, 176), 4.0), ((480, 640), 1.0), ((2160, 3840), 1.0), ((1, 9), 480.0)]
)
def test_small_images_are_enlarged_until_readable(size: tuple[int, int], zoom: float) -> None:
    assert readable_zoom(black(*size)) == zoom


@pytest.mark.parametrize("size", [(1, 1), (12, 16), (144, 176), (2160, 3840)])
@pytest.mark.parametrize(
    "box", [(-50, -50, -10, -10), (-30, 10, 90, 170), (5, 5, 6, 6), (0, 0, 5000, 5000)]
)
def test_boxes_and_images_of_any_size_are_drawn(size: tuple[int, int], box) -> None:
    many = [head((40, -30, 20), box, face_id="left_f12", extrapolated=True), head(box=box)]
    assert draw_heads(black(*size), many).shape == (*size, 3)


@pytest.mark.parametrize("size", [(1, 1), (20, 30), (144, 176), (720, 1280)])
def test_a_caption_is_in_the_lower_left_corner_and_nowhere_else(size: tuple[int, int]) -> None:
    grey = np.full((*size, 3), 128, np.uint8)
    drawn = draw_heads(grey, [], caption="12 ms, image 45 ms old")
    assert drawn.shape == grey.shape
    rows, columns = np.nonzero((drawn != grey).any(axis=2))
    assert columns.min() == 0
    assert rows.max() == size[0] - 1
    if size[0] > 100:
        assert rows.min() > 0.85 * size[0]
        assert columns.max() < size[1]
        assert (drawn[rows.min() :] > 200).any()  # there are letters


def test_a_zoom_must_be_positive() -> None:
    with pytest.raises(ValueError, match="zoom: expected more than 0"):
        draw_heads(black(), [], zoom=0.0)
