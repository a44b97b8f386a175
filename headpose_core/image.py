# SPDX-License-Identifier: Apache-2.0
"""Pictures as the library wants them: (H, W, 3) uint8, RGB, upright."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import ImageError
from headpose_core.files import appearing
from headpose_core.image_view import AnyImage, ImageView, as_view
from headpose_core.types import Image


def check_image(image: object) -> None:
    """Raise ImageError unless ``image`` is a (H, W, 3) uint8 array with at least one pixel.

    Any strides will do: a view of a larger array is fine. The order of the channels cannot be
    seen; the library means RGB everywhere. An ``ImageView`` has been checked when it was made.
    """
    if isinstance(image, ImageView):
        return
    if not isinstance(image, np.ndarray):
        raise ImageError(f"expected an image as (H, W, 3) uint8 array, got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ImageError(
            f"expected an image as (H, W, 3) uint8 array, RGB, got {image.shape} {image.dtype}"
        )


def shrunk(image: AnyImage, max_side: int) -> tuple[Image, NDArray[np.float32]]:
    """The image with no side above ``max_side``, and the zoom (x, y) float32 back from it.

    (h, w, 3) uint8 RGB, of any strides. Of an image in another encoding the result is the same;
    where only the order of its channels differs, no more than the result is converted. Halved as
    long as that goes, then bilinear: a quarter of the time of averaging areas, the same faces.
    """
    view = as_view(image)
    height, width, _ = view.shape
    samples = view.samples(0, 0, width, height)
    shrink = min(1.0, max_side / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    while samples.shape[1] >= 2 * size[0] and samples.shape[0] >= 2 * size[1]:
        half = samples.shape[1] // 2, samples.shape[0] // 2
        samples = np.asarray(cv2.resize(samples, half, interpolation=cv2.INTER_AREA), np.uint8)
    if samples.shape[1::-1] != size:
        samples = np.asarray(cv2.resize(samples, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return view.to_rgb(samples), np.array([width / size[0], height / size[1]], np.float32)


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
        with appearing(path) as file:
            file.write_bytes(data.tobytes())
    except cv2.error as error:
        raise ImageError(f"{path}: OpenCV cannot write '{path.suffix}' files") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot write this file ({error.strerror})") from error
