# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG in messages: what is right comes out, what is wrong is told in time."""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headpose_core.errors import ImageError
from headpose_core.images.compressed_images import view_from_compressed

# Smooth, so that JPEG keeps it.
RAMP = np.arange(48, dtype=np.uint8)
PICTURE = np.stack(np.broadcast_arrays(4 * RAMP[:, None], 3 * RAMP, np.uint8(90)), axis=-1)[:, :40]


def message(data: Any, name: str = "rgb8; jpeg compressed bgr8") -> SimpleNamespace:
    return SimpleNamespace(format=name, data=data)


def encode(ending: str, image: np.ndarray = PICTURE, *options: int) -> bytes:
    return cv2.imencode(ending, image[..., ::-1] if image.ndim == 3 else image, options)[
        1
    ].tobytes()


JPEG, PNG = encode(".jpg"), encode(".png")
PROGRESSIVE = encode(".jpg", PICTURE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, data: bytes) -> bytes:
    """An RGB PNG whose header says what it likes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def test_png_comes_back_as_it_was() -> None:
    for data in (PNG, PNG + bytes(8)):
        np.testing.assert_array_equal(view_from_compressed(message(data)).rgb(), PICTURE)


@pytest.mark.parametrize("kind", [bytes, partial(array, "B"), partial(np.frombuffer, dtype="u1")])
@pytest.mark.parametrize("data", [JPEG, PNG])
def test_only_the_colours_that_are_looked_at_are_computed(data, kind, monkeypatch) -> None:
    """Of the data of a bag or of ROS, which are not copied either."""
    whole = view_from_compressed(message(data)).rgb()
    monkeypatch.setattr(cv2, "cvtColor", None)
    view = view_from_compressed(message(kind(data)))
    assert view.shape == PICTURE.shape
    np.testing.assert_array_equal(view.to_rgb(view.samples(7, 5, 20, 30)), whole[5:30, 7:20])


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE, JPEG + bytes(100)])
def test_jpeg_comes_back_nearly(data: bytes) -> None:
    assert cv2.absdiff(view_from_compressed(message(data)).rgb(), PICTURE).max() < 16


def test_grey_and_16_bits_become_rgb() -> None:
    grey = PICTURE[..., 0]
    for data in (encode(".png", grey), encode(".png", grey.astype(np.uint16) * 257)):
        view = view_from_compressed(message(data, "mono16; png compressed"))
        np.testing.assert_array_equal(view.rgb(), np.dstack([grey] * 3))


def test_the_orientation_of_a_photo_is_not_applied() -> None:
    """The calibration is of the sensor's pixels, however the camera was held."""
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x112, 3, 1, 6, 0) + bytes(4)
    exif = b"Exif\0\0" + tiff
    turned = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + JPEG[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (40, 48, 3)
    assert view_from_compressed(message(turned)).shape == (48, 40, 3)


def jpeg_of(width: int, height: int) -> bytes:
    """The picture with another size in its header."""
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "JPEG or PNG"),
        (b"hello", "JPEG or PNG"),
        (encode(".bmp"), "JPEG or PNG"),
        (JPEG[:3], "found none"),
        (JPEG[:100], "found none"),
        (JPEG[:-2], "cut off"),
        (JPEG[: len(JPEG) * 3 // 4], "cut off"),
        (PROGRESSIVE[: len(PROGRESSIVE) // 2], "cut off"),
        (PNG[:20], "found none"),
        (PNG[:-12], "cut off"),
        (PNG[: len(PNG) // 2], "cut off"),
        (jpeg_of(60000, 60000), "up to 67108864 pixels, got 60000x60000"),
        (png(60000, 60000, bytes(1000)), "up to 67108864 pixels, got 60000x60000"),
        (png(0, 7, b""), "found none"),
        (png(500, 500, bytes(1000)), "broken|refuses"),
        (PNG[:60] + bytes(20) + PNG[80:], "broken|refuses"),
    ],
)
def test_what_is_wrong_is_told(data: bytes, expected: str) -> None:
    with pytest.raises(ImageError, match=f"^compressed image 'rgb8.*{expected}"):
        view_from_compressed(message(data))


@pytest.fixture(scope="module")
def fewer_pixels() -> Iterator[None]:
    """A broken size in a header shall not make the test unpack hundreds of megabytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headpose_core.images.compressed_images.MOST_PIXELS", 1 << 16)
        yield


@pytest.mark.usefixtures("fewer_pixels")
@settings(deadline=None)
@given(st.sampled_from([JPEG, PROGRESSIVE, PNG]), st.data())
def test_whatever_is_in_it_there_is_an_image_or_an_error(
    whole: bytes, draw: st.DataObject
) -> None:
    data = bytearray(whole)
    for at in draw.draw(st.lists(st.integers(0, len(data) - 1), max_size=6)):
        data[at] = draw.draw(st.integers(0, 255))
    try:
        image = view_from_compressed(message(bytes(data))).rgb()
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
