# SPDX-License-Identifier: Apache-2.0
"""Every encoding against known pixels, and every way in which a message can be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from headpose_core.errors import ImageError
from headpose_core.images.image_messages import ENCODINGS, image_from_message
from tests.images.encoded_pictures import COLOURS, MIDDLES, PICTURE, encode, make_message


@pytest.mark.parametrize("padding", [0, 4, 5])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_known_pixels(encoding: str, padding: int) -> None:
    image = image_from_message(make_message(encode(encoding), encoding, padding=padding))
    grey = encoding.startswith(("mono", "8UC1", "16UC1"))
    expected = COLOURS[..., 1:2].repeat(3, axis=-1) if grey else COLOURS
    assert image.shape == PICTURE.shape
    assert image.dtype == np.uint8
    tolerance = 2 if encoding.startswith(("yu", "uyvy", "nv")) else 0
    np.testing.assert_allclose(image[MIDDLES].astype(int), expected, atol=tolerance)


@pytest.mark.parametrize("encoding", [name for name, e in ENCODINGS.items() if e.bits == 16])
@pytest.mark.parametrize("padding", [0, 3])
def test_big_endian_gives_the_same_picture(encoding: str, padding: int) -> None:
    little = image_from_message(make_message(encode(encoding), encoding))
    big = make_message(encode(encoding), encoding, padding=padding, big_endian=True)
    np.testing.assert_array_equal(image_from_message(big), little)


def test_16_bits_are_scaled_to_8() -> None:
    values = np.tile(np.array([0, 257, 32768, 65535], np.uint16), (16, 4))
    image = image_from_message(make_message(values, "mono16"))
    np.testing.assert_array_equal(image[0, :4, 0], [0, 1, 128, 255])


@pytest.mark.parametrize("padding", [0, 6])
def test_rgb_is_not_copied(padding: int) -> None:
    message = make_message(PICTURE, "rgb8", padding=padding)
    image = image_from_message(message)
    assert np.shares_memory(image, np.frombuffer(message.data, np.uint8))
    np.testing.assert_array_equal(image, PICTURE)


def test_last_row_may_lack_its_padding() -> None:
    message = make_message(PICTURE, "bgr8", padding=4)
    message.data = message.data[:-4]
    np.testing.assert_array_equal(image_from_message(message), PICTURE[..., ::-1])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data": b"123"}, "expected 768 bytes"),
        ({"data": bytes(769)}, "expected 768 bytes"),
        ({"height": 1000}, "expected 48000 bytes"),
        ({"width": 0}, "at least one pixel"),
        ({"height": 0}, "at least one pixel"),
        ({"step": 10}, "step of 48 bytes or more, got 10"),
        ({"width": 4_000_000_000}, "step of 12000000000 bytes or more"),
        ({"encoding": "32FC1"}, "32FC1"),
        ({"encoding": ""}, "rgb8"),
        ({"encoding": "nv12", "height": 15}, "multiple of 2"),
        ({"encoding": "yuyv", "width": 15}, "multiple of 2"),
    ],
)
def test_bad_messages_say_what_is_wrong(changes: dict[str, object], expected: str) -> None:
    message = make_message(PICTURE, "rgb8")
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(ImageError, match=expected):
        image_from_message(message)


def test_unknown_encoding_names_itself_and_the_package() -> None:
    message = make_message(PICTURE, "nv24")
    with pytest.raises(ImageError, match=r"'nv24'.*cv_bridge"):
        image_from_message(message)
