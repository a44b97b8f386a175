# SPDX-License-Identifier: Apache-2.0
"""Numbers in MATLAB 5 files (MathWorks, "MAT-File Format", chapter 1), as little-endian machines
write them.

Not by `scipy.io.loadmat`, which one changed byte can crash: it looks up types that are none.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from headpose_core.learning.data.skipped_faces import DataError
from headpose_core.types import FloatArray

_HEADER = 128  # bytes; the last four are the version and the mark of the byte order
_MARK = b"\x00\x01IM"
_MATRIX, _COMPRESSED = 14, 15  # types of elements; those of numbers follow
_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "<i2",
    4: "<u2",
    5: "<i4",
    6: "<u4",
    7: "<f4",
    9: "<f8",
    12: "<i8",
    13: "<u8",
}
_NUMERIC_CLASSES = range(6, 16)  # the others are cells, structures, objects, text, sparse matrices
_COMPLEX = 1 << 11


def read_numbers(path: Path) -> dict[str, FloatArray]:
    """The arrays of real numbers by name; what else is in the file is left out.

    Raises DataError that says in few words what is wrong with the file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError("cannot be read") from error
    if data[_HEADER - len(_MARK) : _HEADER] != _MARK:
        raise DataError("not a MATLAB 5 file")
    try:
        return dict(_arrays(data[_HEADER:]))
    except (struct.error, zlib.error, LookupError, ValueError) as error:
        raise DataError("a damaged MATLAB file") from error


def _arrays(data: bytes) -> Iterator[tuple[str, FloatArray]]:
    for kind, content in _elements(data):
        if kind == _COMPRESSED:
            [(kind, content)] = _elements(zlib.decompress(content))
        if kind != _MATRIX:
            raise ValueError(f"element of type {kind} where a matrix was expected")
        parts = [*_elements(content)]
        (flags,) = struct.unpack_from("<I", parts[0][1])
        if flags & 0xFF in _NUMERIC_CLASSES and not flags & _COMPLEX:
            _, (_, shape), (_, name), (number, values) = parts
            with np.errstate(invalid="ignore"):  # NaN of any kind
                array = np.frombuffer(values, _NUMBERS[number]).astype(np.float64)
            yield name.decode("latin-1"), array.reshape(np.frombuffer(shape, "<u4"), order="F")


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each, behind a tag of eight bytes, or four if both fit into eight."""
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from("<II", data, place)
        place += 8
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            content = data[place - 4 : place][:size]
        else:
            content = data[place : place + size]
            place += size if kind == _COMPRESSED else size + -size % 8
        if len(content) < size:
            raise ValueError(f"{size} bytes announced, {len(content)} there")
        yield kind, content
