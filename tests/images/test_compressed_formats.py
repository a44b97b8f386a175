# SPDX-License-Identifier: Apache-2.0
"""What `CompressedImage.format` says of the values in the file, as image_transport writes it."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpose_core.errors import ImageError
from headpose_core.images.compressed_images import view_from_compressed

# Flat quarters of 8x8 pixels, so that JPEG and demosaicing leave the middles as they are.
COLOURS = np.array([[[200, 30, 40], [20, 180, 60]], [[25, 50, 210], [128, 128, 128]]], np.uint8)
PICTURE = np.kron(COLOURS, np.ones((16, 16, 1), np.uint8))
MIDDLES = np.ix_((8, 24), (8, 24))


def mosaic(pattern: str) -> np.ndarray:
    """What a sensor sees under a filter that begins with the letters of `pattern`."""
    values = np.empty(PICTURE.shape[:2], np.uint8)
    for i, colour in enumerate(pattern):
        row, column = divmod(i, 2)
        values[row::2, column::2] = PICTURE[row::2, column::2, "rgb".index(colour)]
    return values


def decoded(told: str, values: np.ndarray, ending: str = ".png") -> np.ndarray:
    """The picture of a message; values as OpenCV writes them, (H, W) or BGR."""
    data = cv2.imencode(ending, values, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    return view_from_compressed(SimpleNamespace(format=told, data=data)).rgb()


def check(told: str, values: np.ndarray) -> None:
    """In PNG exactly, in JPEG nearly."""
    for ending, most in ((".png", 0), (".jpg", 6)):
        got = decoded(told.format(ending[1:].replace("jpg", "jpeg")), values, ending)
        assert cv2.absdiff(got[MIDDLES], COLOURS).max() <= most, told


@pytest.mark.parametrize(
    "told",
    [
        "rgb8; {} compressed bgr8",
        "bgr8; {} compressed bgr8",
        "rgba8; {} compressed bgr8",
        "bgra8;{} compressed bgr8",
        "8UC3; {} compressed ",  # no colours by ROS's names: as OpenCV has them
        "yuv422; {} compressed bgr8",
        "{}",
        "rgb8",
        "",
    ],
)
def test_colours_are_in_the_usual_order(told: str) -> None:
    check(told, PICTURE[..., ::-1])


@pytest.mark.parametrize(
    "told",
    [
        "rgb8; {} compressed rgb8",
        "bgr8; {} compressed rgb8",
        "rgba8; {} compressed rgba8",
        "rgb8; {} compressed ",
        "bgra8; {} compressed",
    ],
)
def test_red_and_blue_exchanged_are_put_right(told: str) -> None:
    check(told, PICTURE)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_becomes_colours(pattern: str) -> None:
    data = cv2.imencode(".png", mosaic(pattern))[1].tobytes()
    told = f"bayer_{pattern}8; png compressed "
    view = view_from_compressed(SimpleNamespace(format=told, data=data))
    np.testing.assert_array_equal(view.rgb()[MIDDLES], COLOURS)
    deep = mosaic(pattern).astype(np.uint16) * 257
    got = decoded(f"bayer_{pattern}16; png compressed ", deep)
    np.testing.assert_array_equal(got[MIDDLES], COLOURS)
    # Lossy: JPEG smooths a mosaic, which keeps the kind of colour.
    got = decoded(f"bayer_{pattern}8; jpeg compressed ", mosaic(pattern), ".jpg")
    assert cv2.absdiff(got[MIDDLES], COLOURS).max() <= 40


@pytest.mark.parametrize("told", ["bayer_rggb8; jpeg compressed bgr8", "bayer_grbg8; png"])
def test_what_was_demosaiced_before_is_not_demosaiced_again(told: str) -> None:
    check(told, PICTURE[..., ::-1])


@pytest.mark.parametrize("told", ["mono8; jpeg compressed ", "8UC1; png compressed ", "png"])
def test_grey_stays_grey(told: str) -> None:
    grey = PICTURE[..., 0]
    np.testing.assert_array_equal(decoded(told, grey), np.dstack([grey] * 3))


def test_16_bits_of_colours() -> None:
    deep = PICTURE[..., ::-1].astype(np.uint16) * 257
    np.testing.assert_array_equal(decoded("rgb16; png compressed bgr16", deep), PICTURE)
    np.testing.assert_array_equal(decoded("rgb16; png compressed rgb16", deep[..., ::-1]), PICTURE)


def test_a_mosaic_of_an_odd_size_is_refused() -> None:
    with pytest.raises(ImageError, match=r"'bayer_rggb8; png compressed ' .* multiples of"):
        decoded("bayer_rggb8; png compressed ", mosaic("rggb")[:31])


@given(st.text(max_size=40) | st.from_regex(r"\A(bayer_....|rgb|mono)(8|16);.{0,20}\Z"))
def test_whatever_is_told_there_is_an_image(told: str) -> None:
    for values in (PICTURE, mosaic("rggb")):
        assert decoded(told, values).shape == PICTURE.shape
