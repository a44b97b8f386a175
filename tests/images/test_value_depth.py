# SPDX-License-Identifier: Apache-2.0
"""Cameras of 8 to 14 bits in 16-bit images: as bright as the same picture in 8 bits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpose_core.faces.yunet import YuNet
from headpose_core.images.compressed_images import view_from_compressed
from headpose_core.images.image_messages import ENCODINGS, image_from_message, view_from_message
from headpose_core.images.image_view import as_view
from headpose_core.images.value_depth import ValueDepth, eight_bits

DEEP = [name for name, encoding in ENCODINGS.items() if encoding.bits == 16]


def picture(bits: int, channels: int = 1) -> np.ndarray:
    """Values from dark to white of so many bits, (40, 60[, channels]) uint16."""
    ramp = np.linspace(0, (1 << bits) - 1, 2400 * channels).reshape(40, 60, channels)
    return np.round(ramp[..., 0] if channels == 1 else ramp).astype(np.uint16)


def message(values: np.ndarray, encoding: str, big_endian: bool = False) -> Any:
    stored = values.astype(">u2" if big_endian else "<u2")
    return SimpleNamespace(
        encoding=encoding,
        width=values.shape[1],
        height=values.shape[0],
        step=stored.nbytes // values.shape[0],
        is_bigendian=big_endian,
        data=stored.tobytes(),
    )


@pytest.mark.parametrize("encoding", DEEP)
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_every_depth_looks_like_the_same_picture(encoding: str, bits: int) -> None:
    channels = ENCODINGS[encoding].channels
    expected = image_from_message(message(picture(16, channels), encoding))
    assert expected.min() < 16 and expected.max() > 239
    for big_endian in (False, True):
        got = image_from_message(message(picture(bits, channels), encoding, big_endian))
        assert cv2.absdiff(got, expected).max() <= 1


@pytest.mark.parametrize("bits", [10, 14])
@pytest.mark.parametrize(
    "name", ["mono16; png compressed ", "bayer_gbrg16; png compressed ", "png"]
)
def test_pictures_in_files_are_as_bright_as_those_in_messages(name: str, bits: int) -> None:
    data = cv2.imencode(".png", picture(bits))[1].tobytes()
    got = view_from_compressed(SimpleNamespace(format=name, data=data)).rgb()
    encoding = name.split(";")[0] if ";" in name else "mono16"
    np.testing.assert_array_equal(got, image_from_message(message(picture(bits), encoding)))
    for values in (picture(bits), picture(bits, 3)):
        assert cv2.absdiff(eight_bits(values), eight_bits(values << (16 - bits))).max() <= 1


@pytest.mark.parametrize(("encoding", "bits"), [("mono16", 12), ("bayer_rggb16", 10)])
def test_a_face_is_found_in_few_bits(encoding: str, bits: int, astronaut: np.ndarray) -> None:
    grey = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    deep = (grey / 255 * ((1 << bits) - 1)).astype(np.uint16)
    (box,) = YuNet().detect(view_from_message(message(deep, encoding))).boxes
    (expected,) = YuNet().detect(as_view(np.dstack([grey] * 3))).boxes
    np.testing.assert_allclose(box, expected, atol=2.0)


def test_a_stream_does_not_flicker_and_says_once_what_it_is() -> None:
    depth = ValueDepth()
    white = [depth.white(picture(bits)) for bits in (10, 12, 8, 10, 12)]
    assert white == [1023, 4095, 4095, 4095, 4095]
    assert depth.news() == "the 16-bit images use 12 bits: 4095 is taken for white"
    dark = view_from_message(message(picture(8), "mono16"), depth).rgb()
    assert dark.max() == 16  # as dark as it is
    assert depth.news() == ""
    assert depth.white(picture(16)) == 65535
    assert "use 16 bits" in depth.news()


def test_of_a_stream_of_16_bits_nothing_is_said() -> None:
    depth = ValueDepth()
    assert depth.white(np.zeros((4, 4), np.uint16)) == 65535  # black tells nothing
    assert depth.white(np.empty((0, 3), np.uint16)) == 65535
    depth.white(picture(16))
    assert (depth.bits, depth.news()) == (16, "")


def test_some_defective_pixels_change_nothing_a_small_face_does() -> None:
    values = np.full((480, 640), 700, np.uint16)
    values[0, :24] = 65535  # a counter in the first row
    assert ValueDepth().white(values) == 1023
    values[100:124, 100:124] = 3000
    assert ValueDepth().white(values) == 4095


@given(
    st.lists(st.integers(0, 65535), min_size=1, max_size=60),
    st.lists(st.integers(0, 65535), min_size=1, max_size=60),
)
def test_white_never_falls_and_nothing_is_brighter(first: list[int], second: list[int]) -> None:
    depth, whites = ValueDepth(), []
    for values in (first, second, [0]):
        whites.append(depth.white(np.array(values, np.uint16)))
        assert max(values) <= whites[-1]
    if any(first):
        assert whites == sorted(whites)
    assert depth.bits in (0, 8, 10, 12, 14, 16)
