# SPDX-License-Identifier: Apache-2.0
"""Picture files to arrays (H, W, 3) uint8, RGB, upright, and back.

JPEG, PNG, TIFF, WebP and the other usual ones by OpenCV, AVIF, HEIC and GIF by Pillow: OpenCV
passes over how those are turned and mirrored. Pillow also tells the sizes in their headers, of
which there are a dozen kinds.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from headpose_core.errors import ImageError
from headpose_core.images.image_view import check_image
from headpose_core.images.picture_headers import check_pixels, checked_size, is_jpeg_or_png
from headpose_core.images.value_depth import eight_bits
from headpose_core.output_files import atomic_write
from headpose_core.types import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MOST_PIXELS = 1 << 28  # 268 megapixels, 800 MB of BGR; telephones take 200
PICTURES = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png"),
    *(".ppm", ".tif", ".tiff", ".webp"),
)
"""The endings of files that ``read_image`` reads."""

# What Pillow may try: some of its formats run other programs.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG2000", "PPM", "TIFF", "WEBP")
# Major and compatible brands of ISO files (ISO/IEC 23008-12), which begin with a box "ftyp".
_HEIC = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_AVIF = frozenset((b"avif", b"avis"))
_AFTER_JPEG_START = 2


@dataclass(frozen=True)
class Photo:
    """A picture from a file. pixels: (H, W, 3) uint8 RGB, upright. count: of pictures in it."""

    pixels: Image
    count: int = 1


def read_image(path: str | os.PathLike[str]) -> Image:
    """Read a photo as (H, W, 3) uint8, RGB, turned and mirrored as the file says.

    The first one of a file with several. 16-bit values are scaled by the bits that they use.
    Raises ImageError when the file cannot be read, is not a picture that is known, is cut off or
    has more than 268 megapixels.
    """
    return read_photo(path).pixels


def read_photo(path: str | os.PathLike[str]) -> Photo:
    """The same as ``read_image``, and how many pictures there are."""
    name, data = str(path), _bytes_of(Path(path))
    brands = _brands(data)
    if brands & _HEIC and not brands & _AVIF:
        return _heic(data, name)
    count = 1
    if is_jpeg_or_png(memoryview(data)):
        checked_size(memoryview(data), name, MOST_PIXELS)
    else:
        picture = _opened(data, name)
        check_pixels(*picture.size, name, MOST_PIXELS)
        with _parsing(name):
            count = int(getattr(picture, "n_frames", 1))
        if picture.format in ("AVIF", "GIF"):
            return Photo(_upright(picture, name), count)
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if image is not None and image.dtype not in (np.uint8, np.uint16):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"{name}: OpenCV refuses this picture ({error.err})") from error
    if image is None:
        raise ImageError(f"{name}: expected a picture, its data are broken")
    if image.dtype == np.uint16:
        image = eight_bits(np.asarray(image, np.uint16))
    return Photo(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), count)


def write_image(path: Path, image: Image, comment: str = "") -> None:
    """Write a picture, (H, W, 3) uint8 RGB; the name's ending says the format.

    comment: ASCII, written into a JPEG. The file appears whole or not at all. Raises ImageError
    for what cannot be encoded, OSError when the file cannot be written.
    """
    check_image(image)
    try:
        done, encoded = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise ImageError(f"{path}: OpenCV cannot write '{path.suffix}' files") from error
    if not done:
        raise ImageError(f"{path}: OpenCV cannot encode {image.shape} as '{path.suffix}'")
    data = encoded.tobytes()
    if comment:
        data = _with_comment(data, comment.encode("ascii"))
    with atomic_write(path) as file:
        file.write_bytes(data)


def jpeg_comment(start: bytes) -> str:
    """The comment that ``write_image`` wrote, from the first bytes of a JPEG; "" without one."""
    at = _AFTER_JPEG_START + 2 + int.from_bytes(start[4:6], "big")
    if start[:4] != b"\xff\xd8\xff\xe0" or start[at : at + 2] != b"\xff\xfe":
        return ""
    length = int.from_bytes(start[at + 2 : at + 4], "big")
    return start[at + 4 : at + 2 + length].decode("ascii", "replace")


def _with_comment(jpeg: bytes, comment: bytes) -> bytes:
    """A comment behind the first segment, which has to be JFIF's own."""
    at = _AFTER_JPEG_START + 2 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:at] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[at:]


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
                raise ImageError(f"{path}: expected a picture file, this is a device")
            return file.read()
    except OSError as error:
        raise ImageError(f"{path}: cannot read this file ({error.strerror})") from error


def _brands(data: bytes) -> set[bytes]:
    """What an ISO file says that it is; empty for other files."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), 256)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def _opened(data: bytes, name: str) -> Picture:
    """A picture of which Pillow has read the header only."""
    try:
        import PIL.Image
    except ImportError as error:
        raise ImageError(f"{name}: expected Pillow for this format: pip install pillow") from error
    try:
        with _parsing(name), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels: we have a limit of our own
            return PIL.Image.open(io.BytesIO(data), formats=_FORMATS)
    except PIL.UnidentifiedImageError as error:
        told = f"expected a picture (JPEG, PNG, HEIC, ...), got {len(data)} bytes"
        told = f"{told} that Pillow {PIL.__version__} does not know"
        raise ImageError(f"{name}: {told}") from error


def _upright(picture: Picture, name: str) -> Image:
    """Pixels of what Pillow opened, turned as its metadata say."""
    from PIL import ImageOps

    with _parsing(name):
        return np.array(ImageOps.exif_transpose(picture).convert("RGB"), np.uint8)


def _heic(data: bytes, name: str) -> Photo:
    """By libheif, which turns and mirrors as the file says."""
    try:
        import pillow_heif
    except ImportError as error:
        remedy = "pip install pillow-heif"
        raise ImageError(f"{name}: expected pillow-heif for HEIC pictures: {remedy}") from error
    with _parsing(name):
        file = pillow_heif.open_heif(data)
        check_pixels(file.size[0], file.size[1], name, MOST_PIXELS)
        return Photo(np.array(file.to_pillow().convert("RGB"), np.uint8), len(file))


@contextmanager
def _parsing(name: str) -> Iterator[None]:
    """Pillow and libheif raise what they like at broken data."""
    import PIL.Image

    try:
        yield
    except PIL.Image.DecompressionBombError as error:  # before we could ask for the size
        raise ImageError(f"{name}: expected fewer pixels ({error})") from error
    except (ImageError, MemoryError, PIL.UnidentifiedImageError):
        raise
    except Exception as error:
        told = " ".join(str(error).split())
        raise ImageError(f"{name}: expected a picture, its data are broken ({told})") from error
