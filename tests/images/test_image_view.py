# SPDX-License-Identifier: Apache-2.0
"""A view of an image in its own encoding gives what its RGB gives, and converts no more for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from headpose_core.errors import ImageError
from headpose_core.faces.yunet import YuNet
from headpose_core.images.crop import crop_faces
from headpose_core.images.image_messages import ENCODINGS, view_from_message
from headpose_core.images.image_view import RGB, Encoding, ImageView, as_view

WIDTH, HEIGHT = 90, 64
# Inside, at a corner, over every border, larger than the image, beside it, thin, one pixel.
WINDOWS = [
    (20, 10, 61, 51),
    (0, 0, 33, 33),
    (-20, -15, 31, 36),
    (60, 40, 120, 100),
    (-10, -30, 110, 90),
    (200, 200, 240, 240),
    (50, 5, 51, 60),
    (7, 7, 8, 8),
]


def message(encoding: str, padding: int = 0) -> Any:
    """An image of noise in an encoding, as ROS sends it."""
    told = ENCODINGS[encoding]
    rows, step = HEIGHT * told.rows // 2, WIDTH * told.channels * told.bits // 8 + padding
    data = np.random.default_rng(1).integers(0, 256, rows * step, np.uint8).tobytes()
    return SimpleNamespace(
        encoding=encoding, width=WIDTH, height=HEIGHT, step=step, is_bigendian=0, data=data
    )


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_crops_and_small_copies_are_those_of_rgb(encoding: str, padding: int) -> None:
    rgb = view_from_message(message(encoding, padding)).rgb()
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    for window in WINDOWS:  # each of a view that has converted nothing yet
        view = view_from_message(message(encoding, padding))
        expected = crop_faces(as_view(rgb), [window], 24)
        np.testing.assert_array_equal(crop_faces(view, [window], 24), expected)
    for max_side in (20, 45, 200):
        view = view_from_message(message(encoding, padding))
        (got, zoom), (expected, same) = view.shrunk(max_side), as_view(rgb).shrunk(max_side)
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(zoom, same)


@pytest.mark.parametrize(
    "encoding", [name for name, told in ENCODINGS.items() if told.order is not None]
)
def test_nothing_is_copied_where_only_the_order_differs(encoding: str) -> None:
    image = message(encoding)
    memory = np.frombuffer(image.data, np.uint8)
    assert np.shares_memory(view_from_message(image).samples(3, 4, 50, 60), memory)
    samples = np.zeros((4, 5, 4), np.uint8)[..., : ENCODINGS[encoding].channels]
    samples = samples[..., 0] if samples.shape[2] == 1 else samples
    assert np.shares_memory(view_from_message(image).to_rgb(samples), samples)


@pytest.mark.parametrize(
    "encoding", [name for name, told in ENCODINGS.items() if not told.order and told.rows == 2]
)
def test_a_face_costs_the_conversion_of_its_window(encoding: str, monkeypatch) -> None:
    sizes = []
    for name in ("cvtColor", "convertScaleAbs"):
        convert = getattr(cv2, name)

        def recording(values: Any, *args: Any, convert: Any = convert, **options: Any) -> Any:
            sizes.append(values.shape[0] * values.shape[1])
            return convert(values, *args, **options)

        monkeypatch.setattr(cv2, name, recording)
    crop_faces(view_from_message(message(encoding)), [(20, 10, 41, 31)])
    assert sizes
    assert max(sizes) <= 28 * 28


def test_the_whole_is_converted_once(monkeypatch) -> None:
    calls = []
    convert = cv2.cvtColor
    monkeypatch.setattr(cv2, "cvtColor", lambda *args: (calls.append(1), convert(*args))[1])
    view = view_from_message(message("nv12"))
    view.shrunk(45)
    crop_faces(view, WINDOWS)
    assert view.rgb() is view.rgb()
    assert len(calls) == 1


def test_faces_are_found_in_any_order_of_channels(astronaut) -> None:
    detector = YuNet()
    expected = detector.detect(as_view(astronaut))
    bgra = np.dstack([astronaut[..., ::-1], np.full(astronaut.shape[:2], 7, np.uint8)])
    got = detector.detect(ImageView(bgra, ENCODINGS["bgra8"]))
    np.testing.assert_array_equal(got.boxes, expected.boxes)
    np.testing.assert_array_equal(got.scores, expected.scores)


def test_an_array_is_a_view_of_itself() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    view = as_view(image)
    assert as_view(view) is view
    assert (view.shape, view.size) == ((4, 6, 3), (6, 4))
    assert np.shares_memory(view.rgb(), image)


@pytest.mark.parametrize(
    "image",
    [
        None,
        "photo.jpg",
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_image_is_refused_at_the_door(image: Any) -> None:
    with pytest.raises(ImageError, match=r"expected an image as \(H, W, 3\) uint8 array"):
        as_view(image)


@pytest.mark.parametrize(
    ("values", "encoding"),
    [
        (np.zeros((4, 4, 4), np.uint8), RGB),
        (np.zeros((4, 4), np.uint8), RGB),
        (np.zeros((4, 4, 3), np.uint16), RGB),
        (np.zeros((0, 4, 3), np.uint8), RGB),
        (np.zeros((6, 3), np.uint8), ENCODINGS["nv12"]),
        (np.zeros((5, 4), np.uint8), ENCODINGS["bayer_rggb8"]),
        (np.zeros((4, 4), np.uint8), Encoding(bits=16)),
    ],
)
def test_values_that_do_not_fit_the_encoding_are_refused(values, encoding) -> None:
    with pytest.raises(ImageError, match="expected"):
        ImageView(values, encoding)
