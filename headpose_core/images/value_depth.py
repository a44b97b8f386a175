# SPDX-License-Identifier: Apache-2.0
"""How many of 16 bits an image uses: cameras of 10 or 12 bits leave the others zero."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.types import Image

# What sensors have.
_BITS = (8, 10, 12, 14, 16)
# Of the values that may be larger: defective pixels, a counter written into the first row. A face
# of 24 pixels before a black background is more than that of an image of 720p.
_ODD = 1e-4


class ValueDepth:
    """The bits that the 16-bit values of one stream of images use.

    It never falls: a dark image after a bright one stays dark. One stream at a time.
    bits: 8, 10, 12, 14 or 16; 0 before the first image.
    """

    def __init__(self) -> None:
        self.bits = 0
        self._told = 16

    def white(self, values: NDArray[Any]) -> int:
        """The value that means white in images like this one, 255 to 65535.

        values: uint16 of any shape, in this machine's byte order.
        """
        most = int(values.max(initial=0))
        for bits in _BITS if most else ():  # nothing can be told of black
            if bits >= self.bits and (
                most >> bits == 0 or np.count_nonzero(values >> bits) <= _ODD * values.size
            ):
                self.bits = bits
                break
        return (1 << (self.bits or 16)) - 1

    def news(self) -> str:
        """A sentence when the images use other bits than was said before; "" when not."""
        if self.bits in (0, self._told):
            return ""
        self._told = self.bits
        white = (1 << self.bits) - 1
        return f"the 16-bit images use {self.bits} bits: {white} is taken for white"


def eight_bits(values: NDArray[np.uint16], depth: ValueDepth | None = None) -> Image:
    """16-bit values (H, W) or (H, W, C) as uint8: what is white becomes 255.

    depth: of the stream; None when the image stands by itself.
    """
    white = (depth or ValueDepth()).white(values)
    return np.asarray(cv2.convertScaleAbs(values, alpha=255 / white), np.uint8)
