# SPDX-License-Identifier: Apache-2.0
"""An image as it came, whose pixels become RGB where they are looked at and nowhere else.

A camera's message holds BGR, grey, YUV or Bayer values in a buffer of its own. Of a whole image
the pipeline needs a small copy, for the detector, and the faces: so the values stay where they
are until a part of them is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import ImageError
from headpose_core.types import Image

# Channels of values that are RGB but for their order. Grey is the same in all three.
_ORDERS = {"rgb": slice(0, 3), "bgr": slice(2, None, -1), "grey": None}


@dataclass(frozen=True)
class Encoding:
    """How pixels lie in memory and what makes them RGB.

    order: "rgb", "bgr" or "grey" where nothing has to be computed for that; else None.
    conversion: OpenCV's code for it; None for what is RGB.
    channels: values per pixel. bits: of a value, 8 or 16. white: what becomes 255 of 16 bits.
    rows: of data per row of the image, in halves: 3 for planar formats, whose chroma follows
    below. even: (width, height) must be multiples of these.
    reach: pixels around one that its colour depends on.
    """

    order: str | None = None
    conversion: int | None = None
    channels: int = 1
    bits: int = 8
    white: int = 65535
    rows: int = 2
    even: tuple[int, int] = (1, 1)
    reach: int = 0


RGB = Encoding("rgb", channels=3)


class ImageView:
    """An image (H, W, 3) in any encoding, over memory that is somebody else's.

    values: (rows, W) or (rows, W, channels) uint8 or uint16 as the encoding says, of any strides,
    in this machine's byte order. It must not change while the view is in use.
    Raises ImageError when values and encoding do not fit together.
    """

    def __init__(self, values: NDArray[Any], encoding: Encoding = RGB) -> None:
        dtype = np.uint8 if encoding.bits == 8 else np.uint16
        channels = 1 if values.ndim == 2 else values.shape[-1]
        if values.dtype != dtype or values.ndim not in (2, 3) or channels != encoding.channels:
            raise ImageError(
                f"expected values (rows, W, {encoding.channels}) of {np.dtype(dtype)}, got "
                f"{values.shape} {values.dtype}"
            )
        height, width = values.shape[0] * 2 // encoding.rows, values.shape[1]
        if not values.size or height % encoding.even[1] or width % encoding.even[0]:
            raise ImageError(
                f"expected width and height of at least one pixel and multiples of "
                f"{encoding.even}, got {width}x{height}"
            )
        self.shape = (height, width, 3)
        self._values = values[..., 0] if values.ndim == 3 and channels == 1 else values
        self._encoding = encoding
        self._rgb: Image | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.shape[1], self.shape[0]

    def rgb(self) -> Image:
        """The whole image, (H, W, 3) uint8 RGB: a view where the values are RGB already."""
        if self._rgb is None:
            self._rgb = self._converted(self._values)
        return self._rgb

    def samples(self, x1: int, y1: int, x2: int, y2: int) -> NDArray[np.uint8]:
        """The pixels of a window inside the image, (h, w) or (h, w, channels) uint8.

        They are not RGB yet, but resizing them and then calling ``to_rgb`` gives the same as
        resizing RGB. Nothing is copied where only the order of the channels may differ.
        """
        if self._encoding.order:
            return self._values[y1:y2, x1:x2]
        if x1 == x2 or y1 == y2:
            return np.empty((y2 - y1, x2 - x1, 3), np.uint8)
        if self._rgb is not None:
            return self._rgb[y1:y2, x1:x2]
        if self._encoding.rows != 2 or (x2 - x1, y2 - y1) == self.shape[1::-1]:
            return self.rgb()[y1:y2, x1:x2]
        (left, right), (top, bottom) = (
            self._around(x1, x2, self._encoding.even[0], self.shape[1]),
            self._around(y1, y2, self._encoding.even[1], self.shape[0]),
        )
        part = self._converted(self._values[top:bottom, left:right])
        return part[y1 - top : y2 - top, x1 - left : x2 - left]

    def to_rgb(self, samples: NDArray[np.uint8]) -> Image:
        """Samples, resized or not, as (h, w, 3) uint8 RGB; a view of them."""
        if self._encoding.order is None:
            return samples
        chosen = _ORDERS[self._encoding.order]
        if chosen is None:
            return np.broadcast_to(samples[..., None], (*samples.shape, 3))
        return samples[..., chosen]

    def shrunk(self, max_side: int) -> tuple[Image, NDArray[np.float32]]:
        """The image with no side above ``max_side``, and the zoom (x, y) float32 back from it.

        (h, w, 3) uint8 RGB, of any strides. Of an image in another encoding the result is the
        same; where only the order of its channels differs, no more than the result is converted.
        Halved as long as that goes, then bilinear: a quarter of the time of averaging areas, the
        same faces.
        """
        height, width, _ = self.shape
        samples = self.samples(0, 0, width, height)
        shrink = min(1.0, max_side / max(height, width))
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        while samples.shape[1] >= 2 * size[0] and samples.shape[0] >= 2 * size[1]:
            half = samples.shape[1] // 2, samples.shape[0] // 2
            samples = np.asarray(cv2.resize(samples, half, interpolation=cv2.INTER_AREA), np.uint8)
        if samples.shape[1::-1] != size:
            bilinear = cv2.INTER_LINEAR
            samples = np.asarray(cv2.resize(samples, size, interpolation=bilinear), np.uint8)
        return self.to_rgb(samples), np.array([width / size[0], height / size[1]], np.float32)

    def _around(self, low: int, high: int, even: int, size: int) -> tuple[int, int]:
        """A range of pixels with all that its colours depend on, on whole groups of pixels."""
        reach = self._encoding.reach
        return max(low - reach, 0) // even * even, min(-(-(high + reach) // even) * even, size)

    def _converted(self, values: NDArray[Any]) -> Image:
        """RGB of values, by OpenCV."""
        try:
            if self._encoding.conversion is not None:
                values = cv2.cvtColor(values, self._encoding.conversion)
            if self._encoding.bits == 16:
                values = cv2.convertScaleAbs(values, alpha=255 / self._encoding.white)
        except cv2.error as error:
            raise ImageError(f"OpenCV cannot convert it ({error.err})") from error
        return np.asarray(values, np.uint8)


def check_image(image: object) -> None:
    """Raise ImageError unless ``image`` is a (H, W, 3) uint8 array with at least one pixel.

    Any strides will do: a view of a larger array is fine. The order of the channels cannot be
    seen; the library means RGB everywhere.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(f"expected an image as (H, W, 3) uint8 array, got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ImageError(
            f"expected an image as (H, W, 3) uint8 array, RGB, got {image.shape} {image.dtype}"
        )


def as_view(image: Image | ImageView) -> ImageView:
    """A view of an RGB array (H, W, 3) uint8; a view stays what it is. ImageError: it is neither.

    The one door for arrays: whatever is behind it takes an ``ImageView``.
    """
    if isinstance(image, ImageView):
        return image
    check_image(image)
    return ImageView(image)
