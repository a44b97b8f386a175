# SPDX-License-Identifier: Apache-2.0
"""Annotated copies: how large they are, and how they are told from the user's own files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from headpose_core.drawing import draw_heads, readable_zoom
from headpose_core.errors import ImageError
from headpose_core.images.image_files import jpeg_comment
from headpose_core.images.video import VideoReader
from headpose_core.types import Head, Image

MARK = "annotated by headpose"
"""The comment in every copy. A name proves nothing: a photo of the user's may end alike."""

_BAG = b"headpose "
_START_BYTES = 4096
_LONGEST_ENLARGED = 4096  # pixels, where nobody asked for a zoom
_MOST_PIXELS = 1 << 28


def annotated(image: Image, heads: Sequence[Head], zoom: float | None) -> Image:
    """An image with its heads drawn, (H, W, 3) uint8 RGB; small ones are enlarged.

    zoom: of the copy; None for what makes it readable. Raises ImageError when it would have more
    than 268 megapixels.
    """
    height, width = image.shape[:2]
    if zoom is None:
        zoom = min(readable_zoom(image), max(1.0, _LONGEST_ENLARGED / max(height, width)))
    elif zoom * zoom * height * width > _MOST_PIXELS:
        most = math.sqrt(_MOST_PIXELS / (height * width))
        told = f"--zoom {zoom:g}: expected up to {most:.3g} for images of {width}x{height}"
        raise ImageError(f"{told}, the copy would have more than {_MOST_PIXELS} pixels")
    return draw_heads(image, heads, zoom=zoom)


def fitted(image: Image, size: tuple[int, int]) -> Image:
    """An image in the middle of a black one of this size (w, h), shrunk or enlarged to fit.

    Recordings of calls change their size; a video cannot.
    """
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    zoom = min(size[0] / width, size[1] / height)
    w, h = max(1, round(width * zoom)), max(1, round(height * zoom))
    left, top = (size[0] - w) // 2, (size[1] - h) // 2
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    canvas[top : top + h, left : left + w] = cv2.resize(image, (w, h))
    return canvas


def is_copy(path: Path) -> bool:
    """Whether a file is an annotated picture or video, or a bag of poses, of this program's."""
    ending = path.suffix.lower()
    try:
        if ending in (".jpg", ".jpeg", ".mcap") and path.is_file():
            with path.open("rb") as file:
                start = file.read(_START_BYTES)
            # The header of an MCAP file says which library wrote it.
            return jpeg_comment(start) == MARK or (ending == ".mcap" and _BAG in start[:64])
        if ending == ".mp4":
            with closing(VideoReader(path)) as reader:
                return reader.comment == MARK
    except (ImageError, OSError):
        pass  # whoever reads it will complain
    return False
