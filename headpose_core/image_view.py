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
    channels: values per pixel. bits: of a value, 8 or 16 (0..65535 becomes 0..255).
    rows: of data per row of the image, in halves: 3 for planar formats, whose chroma follows
    below. even: (width, height) must be multiples of these.
    reach: pixels around one that its colour depends on.
    """

    order: str | None = None
    conversion: int | None = None
    channels: int = 1
    bits: int = 8
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
                values = cv2.convertScaleAbs(values, alpha=255 / 65535)
        except cv2.error as error:
            raise ImageError(f"OpenCV cannot convert it ({error.err})") from error
        return np.asarray(values, np.uint8)


AnyImage = Image | ImageView


def as_view(image: AnyImage) -> ImageView:
    """A view of an RGB array, (H, W, 3) uint8; a view stays what it is."""
    return image if isinstance(image, ImageView) else ImageView(image)
