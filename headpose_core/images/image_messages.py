# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image to RGB array, whoever's class the message is of: ROS's own or a bag reader's.

Written for NumPy and OpenCV only: cv_bridge breaks with NumPy 2 on some distributions. It is still
asked, when it is installed, for the encodings that are unknown here.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import ImageError
from headpose_core.images.image_view import RGB, Encoding, ImageView
from headpose_core.images.value_depth import ValueDepth

# Bayer names of ROS say which colours the first two rows begin with; those of OpenCV name the
# second and third pixel of the second row, so they look swapped.
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}
_UYVY = Encoding(conversion=cv2.COLOR_YUV2RGB_UYVY, channels=2, even=(2, 1))
_YUYV = Encoding(conversion=cv2.COLOR_YUV2RGB_YUY2, channels=2, even=(2, 1))
_BGR = Encoding("bgr", cv2.COLOR_BGR2RGB, 3)
_GREY = Encoding("grey", cv2.COLOR_GRAY2RGB)
_GREY16 = Encoding(conversion=cv2.COLOR_GRAY2RGB, bits=16)

ENCODINGS = {
    "rgb8": RGB,
    "bgr8": _BGR,
    "8UC3": _BGR,  # nameless channels are OpenCV's
    "rgba8": Encoding("rgb", cv2.COLOR_RGBA2RGB, 4),
    "bgra8": Encoding("bgr", cv2.COLOR_BGRA2RGB, 4),
    "rgb16": Encoding(channels=3, bits=16),
    "bgr16": Encoding(conversion=cv2.COLOR_BGR2RGB, channels=3, bits=16),
    "mono8": _GREY,
    "8UC1": _GREY,
    "mono16": _GREY16,
    "16UC1": _GREY16,
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": Encoding(conversion=cv2.COLOR_YUV2RGB_NV12, rows=3, even=(2, 2)),
    "nv21": Encoding(conversion=cv2.COLOR_YUV2RGB_NV21, rows=3, even=(2, 2)),
    **{
        f"bayer_{name}{bits}": Encoding(conversion=code, bits=bits, even=(2, 2), reach=2)
        for name, code in _BAYER.items()
        for bits in (8, 16)
    },
}


def view_from_message(message: Any, depth: ValueDepth | None = None) -> ImageView:
    """The picture in a message, where it lies: nothing is converted before it is looked at.

    The message's memory must stay as it is meanwhile. depth: of the stream of images, for 16-bit
    values; None when this one stands by itself. Raises ImageError when size, step, encoding and
    amount of data do not fit together.
    """
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        return ImageView(_with_cv_bridge(message))
    return scaled_view(_values(message, encoding), encoding, depth)


def image_from_message(message: Any) -> NDArray[np.uint8]:
    """The picture in a message as (H, W, 3) uint8 RGB.

    A view of the message's memory where it is RGB already, padding at the end of the rows
    included; else a new array. 16-bit values are scaled to 0..255 by the bits that they use.
    Raises ImageError when size, step, encoding and amount of data do not fit together.
    """
    return view_from_message(message).rgb()


def scaled_view(
    values: NDArray[Any], encoding: Encoding, depth: ValueDepth | None = None
) -> ImageView:
    """A view of values in an encoding, of 16-bit ones by the bits that they use."""
    if encoding.bits == 16 and values.size:
        encoding = replace(encoding, white=(depth or ValueDepth()).white(values))
    return ImageView(values, encoding)


def _values(message: Any, encoding: Encoding) -> NDArray[Any]:
    """The values as they came, (rows, W) or (rows, W, channels), in this machine's byte order."""
    size = encoding.bits // 8
    rows, row_bytes = message.height * encoding.rows // 2, message.width * encoding.channels * size
    _check_layout(message, encoding, rows, row_bytes)
    order = ">" if message.is_bigendian else "<"
    stored: NDArray[Any] = np.ndarray(
        (rows, message.width, encoding.channels),
        np.dtype(f"{order}u{size}"),
        memoryview(message.data),
        strides=(message.step, encoding.channels * size, size),
    )
    values = stored[:, :, 0] if encoding.channels == 1 else stored
    if encoding.bits == 16 and (bool(message.is_bigendian) != (sys.byteorder == "big")):
        values = values.astype(np.uint16)
    if encoding.bits == 16 and message.step % size:
        values = np.ascontiguousarray(values)  # OpenCV wants aligned rows
    return values


def _check_layout(message: Any, encoding: Encoding, rows: int, row_bytes: int) -> None:
    if not (message.width and message.height):
        raise ImageError(f"{_name(message)}: expected at least one pixel")
    multiple_x, multiple_y = encoding.even
    if message.width % multiple_x or message.height % multiple_y:
        raise ImageError(
            f"{_name(message)}: this encoding needs a width that is a multiple of {multiple_x} "
            f"and a height that is a multiple of {multiple_y}"
        )
    if message.step < row_bytes:
        raise ImageError(
            f"{_name(message)}: expected a step of {row_bytes} bytes or more, got {message.step}"
        )
    # Some drivers leave out the padding of the last row.
    least, most, got = (
        message.step * (rows - 1) + row_bytes,
        message.step * rows,
        len(message.data),
    )
    if not least <= got <= most:
        raise ImageError(
            f"{_name(message)}: expected {most} bytes ({rows} rows of {message.step}), got {got}"
        )


def _with_cv_bridge(message: Any) -> NDArray[np.uint8]:
    try:
        from cv_bridge import CvBridge
    except (ImportError, AttributeError) as error:  # AttributeError: built for another NumPy
        raise ImageError(
            f"{_name(message)}: expected an encoding of {', '.join(ENCODINGS)}; others need the "
            f"ROS package cv_bridge (apt install ros-$ROS_DISTRO-cv-bridge), got '{error}'"
        ) from error
    try:
        return np.asarray(CvBridge().imgmsg_to_cv2(message, "rgb8"), np.uint8)
    except Exception as error:  # CvBridgeError, cv2.error, KeyError, TypeError: as it comes
        raise ImageError(f"{_name(message)}: cv_bridge cannot convert it ({error})") from error


def _name(message: Any) -> str:
    return f"image {message.width}x{message.height} '{message.encoding}'"
