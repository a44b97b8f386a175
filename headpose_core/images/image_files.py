# SPDX-License-Identifier: Apache-2.0
"""Picture files to arrays (H, W, 3) uint8, RGB, upright, and back."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from headpose_core.errors import ImageError
from headpose_core.images.image_view import check_image
from headpose_core.output_files import atomic_write
from headpose_core.types import Image


def read_image(path: str | os.PathLike[str]) -> Image:
    """Read a photo as (H, W, 3) uint8, RGB, turned upright as its EXIF orientation says.

    Raises ImageError when the file cannot be read or is not a picture that OpenCV knows.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot read this file ({error.strerror})") from error
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:  # more pixels than OpenCV allows
        raise ImageError(f"{path}: OpenCV refuses this picture ({error.err})") from error
    if image is None:
        raise ImageError(f"{path}: expected a picture (JPEG, PNG, ...), got {len(data)} bytes")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def write_image(path: Path, image: Image) -> None:
    """Write a picture, (H, W, 3) uint8 RGB; the name's ending says the format.

    The file appears whole or not at all. Raises ImageError when it cannot be written.
    """
    check_image(image)
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if not done:
            raise ImageError(f"{path}: OpenCV cannot encode {image.shape} as '{path.suffix}'")
        with atomic_write(path) as file:
            file.write_bytes(data.tobytes())
    except cv2.error as error:
        raise ImageError(f"{path}: OpenCV cannot write '{path.suffix}' files") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot write this file ({error.strerror})") from error
