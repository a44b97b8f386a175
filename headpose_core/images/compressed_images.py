# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CompressedImage to pixels: JPEG and PNG.

What the header promises is looked at before anything is unpacked, see ``picture_headers``.
"""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import ImageError
from headpose_core.images.image_messages import ENCODINGS, scaled_view
from headpose_core.images.image_view import Encoding, ImageView
from headpose_core.images.picture_headers import checked_size
from headpose_core.images.value_depth import ValueDepth

MOST_PIXELS = 1 << 26  # 67 megapixels, 200 MB of BGR

# Grey or colours, 8 or 16 bits: as the file has them. And as the sensor has them, which is what
# the calibration is of: no EXIF orientation.
_FLAGS = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
# The first word of `format` is the encoding before compression; with one of these the last word is
# that of the colours in the file, as the transport "compressed" writes and reads it.
_COLOURS = re.compile(r"(rgb|bgr)a?(8|16)")
_BAYER = re.compile(r"bayer_(?:rggb|bggr|gbrg|grbg)(?=8|16)")


def view_from_compressed(message: Any, depth: ValueDepth | None = None) -> ImageView:
    """The picture in a CompressedImage, as it is decoded.

    message: `format` says what the values in the file mean: a Bayer mosaic, or red and blue
    exchanged; the rest the data say themselves. 16-bit PNG are scaled to 8 bits by the bits that
    they use. depth: of the stream of images; None when this one stands by itself.
    Raises ImageError for what is neither JPEG nor PNG, for more than 67 megapixels, and for data
    that are broken or cut off.
    """
    data = memoryview(message.data)
    name = f"compressed image '{message.format}' of {len(data)} bytes"
    width, height = checked_size(data, name, MOST_PIXELS)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS)
    except cv2.error as error:
        raise ImageError(f"{name}: OpenCV refuses it ({error.err})") from error
    if image is None or image.shape[:2] != (height, width):
        raise ImageError(f"{name}: expected a picture of {width}x{height}, its data are broken")
    try:
        return scaled_view(image, _encoding(image, message.format), depth)
    except ImageError as error:  # a mosaic of an odd size
        raise ImageError(f"{name}: {error}") from error


def _encoding(image: NDArray[Any], told: str) -> Encoding:
    """What decoded values, (H, W) or (H, W, 3), mean by the `format` of their message."""
    bits = 8 * image.itemsize
    before, _, after = told.partition(";")
    if image.ndim == 2:
        mosaic = _BAYER.match(before.strip())
        return ENCODINGS[f"{mosaic[0]}{bits}" if mosaic else f"mono{bits}"]
    exchanged = after and _COLOURS.fullmatch(before.strip()) and "compressed bgr" not in after
    return ENCODINGS[f"rgb{bits}" if exchanged else f"bgr{bits}"]
