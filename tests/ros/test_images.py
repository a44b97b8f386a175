# SPDX-License-Identifier: Apache-2.0
"""Every encoding against known pixels, and every way in which a message can be wrong."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from sensor_msgs.msg import Image
from std_msgs.msg import Header

from headpose_core.errors import ImageError
from headpose_core.images.image_messages import ENCODINGS, image_from_message
from headpose_ros.images import message_from_image

# Four flat quarters, so that subsampled chroma and demosaicing leave the middles as they are.
COLOURS = np.array([[[200, 30, 40], [20, 180, 60]], [[25, 50, 210], [128, 128, 128]]], np.uint8)
PICTURE = np.kron(COLOURS, np.ones((8, 8, 1), np.uint8))
MIDDLES = np.ix_((4, 12), (4, 12))


def make_message(
    values: np.ndarray, encoding: str, *, padding: int = 0, big_endian: bool = False
) -> Image:
    """A message of (rows, W[, C]) values, with `padding` bytes of noise after each row."""
    stored = values.astype(values.dtype.newbyteorder(">" if big_endian else "<"))
    rows = [row.tobytes() + bytes(range(7, 7 + padding)) for row in stored]
    message = Image(height=PICTURE.shape[0], width=PICTURE.shape[1], encoding=encoding)
    message.step, message.is_bigendian = len(rows[0]), int(big_endian)
    message.data = b"".join(rows)
    return message


def yuv_planes(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y (H, W), and U, V averaged over 2x2 pixels, as ITU-R BT.601 has them for video."""
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    y = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255
    u = 128 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255
    v = 128 + (112.0 * r - 93.786 * g - 18.214 * b) / 255
    halves = (c.reshape(c.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3)) for c in (u, v))
    return tuple(np.round(plane).astype(np.uint8) for plane in (y, *halves))


def packed_422(rgb: np.ndarray, order: str) -> np.ndarray:
    """(H, W, 2): two pixels share a pair of chroma values."""
    y, u, v = yuv_planes(rgb)
    u, v = np.repeat(u, 2, axis=0), np.repeat(v, 2, axis=0)
    parts = {"y0": y[:, 0::2], "y1": y[:, 1::2], "u": u, "v": v}
    return np.stack([parts[name] for name in order.split()], axis=-1).reshape(*y.shape, 2)


def planar_420(rgb: np.ndarray, order: str) -> np.ndarray:
    """(3 H / 2, W): Y, then interleaved chroma."""
    y, u, v = yuv_planes(rgb)
    pairs = (u, v) if order == "uv" else (v, u)
    return np.vstack([y, np.stack(pairs, axis=-1).reshape(-1, y.shape[1])])


def bayer(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """(H, W): what a sensor sees under a filter that begins with the letters of `pattern`."""
    mosaic = np.empty(rgb.shape[:2], rgb.dtype)
    for i, colour in enumerate(pattern):
        row, column = divmod(i, 2)
        mosaic[row::2, column::2] = rgb[row::2, column::2, "rgb".index(colour)]
    return mosaic


def encode(encoding: str) -> np.ndarray:
    """The picture as values of an encoding, written without the converter's help."""
    alpha = np.full((*PICTURE.shape[:2], 1), 99, np.uint8)
    wide = PICTURE.astype(np.uint16) * 257
    base = encoding.rstrip("0123456789")
    if base.startswith("bayer_"):
        return bayer(wide if encoding.endswith("16") else PICTURE, base[6:])
    return {
        "rgb8": lambda: PICTURE,
        "bgr8": lambda: PICTURE[..., ::-1],
        "8UC3": lambda: PICTURE[..., ::-1],
        "rgba8": lambda: np.concatenate([PICTURE, alpha], axis=-1),
        "bgra8": lambda: np.concatenate([PICTURE[..., ::-1], alpha], axis=-1),
        "rgb16": lambda: wide,
        "bgr16": lambda: wide[..., ::-1],
        "mono8": lambda: PICTURE[..., 1],
        "8UC1": lambda: PICTURE[..., 1],
        "mono16": lambda: wide[..., 1],
        "16UC1": lambda: wide[..., 1],
        "yuv422": lambda: packed_422(PICTURE, "u y0 v y1"),
        "uyvy": lambda: packed_422(PICTURE, "u y0 v y1"),
        "yuv422_yuy2": lambda: packed_422(PICTURE, "y0 u y1 v"),
        "yuyv": lambda: packed_422(PICTURE, "y0 u y1 v"),
        "nv12": lambda: planar_420(PICTURE, "uv"),
        "nv21": lambda: planar_420(PICTURE, "vu"),
    }[encoding]()


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


def test_round_trip() -> None:
    header = Header(frame_id="camera")
    message = message_from_image(PICTURE, header)
    assert (message.header, message.encoding, message.step) == (header, "rgb8", 48)
    np.testing.assert_array_equal(image_from_message(message), PICTURE)


def test_message_of_a_view_is_contiguous() -> None:
    message = message_from_image(PICTURE[::2, ::-1], Header())
    np.testing.assert_array_equal(image_from_message(message), PICTURE[::2, ::-1])


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


@pytest.mark.parametrize("encoding", ["bgr8", "rgba8", "mono8", "mono16", "bayer_rggb8", "yuv422"])
def test_agrees_with_cv_bridge(encoding: str) -> None:
    cv_bridge = pytest.importorskip("cv_bridge", reason="needs the ROS package cv_bridge")
    message = make_message(encode(encoding), encoding)
    theirs = cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")
    assert cv2.absdiff(image_from_message(message), theirs).max() <= 1
