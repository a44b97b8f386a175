# SPDX-License-Identifier: Apache-2.0
"""What a JPEG or a PNG says of itself before anything is unpacked: a few bytes can ask for gigabytes.

What is cut off is refused: a decoder would fill it with grey.
"""

from __future__ import annotations

import re
import struct

from headpose_core.errors import ImageError

_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", re.compile(rb"IEND\xaeB`\x82")
_JPEG, _JPEG_END = b"\xff\xd8\xff", re.compile(b"\xff\xd9")
_START_OF_SCAN = 0xDA
# C4, C8 and CC have the same first digit, but are tables.
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def is_jpeg_or_png(data: memoryview) -> bool:
    """Whether data begin as a JPEG or a PNG does."""
    return bytes(data[:8]).startswith((_PNG, _JPEG))


def checked_size(data: memoryview, name: str, most: int) -> tuple[int, int]:
    """Width and height in pixels by the header of a JPEG or a PNG, which is whole.

    name: of the picture, for errors. most: pixels. Raises ImageError for what begins as neither,
    has no size, more pixels than ``most``, or no end.
    """
    begin = bytes(data[:8])
    if not is_jpeg_or_png(data):
        raise ImageError(f"{name}: expected JPEG or PNG, got data that begin with {begin!r}")
    width, height, whole = _png_header(data) if begin == _PNG else _jpeg_header(data)
    check_pixels(width, height, name, most)
    if not whole:
        raise ImageError(f"{name}: expected a picture of {width}x{height}, its end is cut off")
    return width, height


def check_pixels(width: int, height: int, name: str, most: int) -> None:
    """Raise ImageError when a header promises no pixels, or more than ``most``."""
    if not (width and height):
        raise ImageError(f"{name}: expected a size in its header, found none")
    if width * height > most:
        raise ImageError(f"{name}: expected up to {most} pixels, got {width}x{height}")


def _png_header(data: memoryview) -> tuple[int, int, bool]:
    """Width, height, 0 when they are not there, and whether the data are whole."""
    if bytes(data[12:16]) != b"IHDR" or len(data) < 24:
        return 0, 0, False
    width, height = struct.unpack_from(">II", data, 16)
    # Nearly always at the very end, but some writers pad, and some programs append.
    whole = _PNG_END.search(data, len(data) - 32) or _PNG_END.search(data)
    return width, height, bool(whole)


def _jpeg_header(data: memoryview) -> tuple[int, int, bool]:
    """The same of a JPEG: from segment to segment until the scan begins."""
    width = height = 0
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind in _FRAME_HEADERS and at + 9 <= len(data):
            height, width = struct.unpack_from(">HH", data, at + 5)
        if kind == _START_OF_SCAN:
            # In the scan itself FF is never followed by D9.
            return width, height, bool(_JPEG_END.search(data, at))
        at += 1 if kind == 0xFF else 2 + length  # FF may be repeated before a segment
    return width, height, False
