# SPDX-License-Identifier: Apache-2.0
"""ONNX files as bytes: read them safely, find external data, change the input's size.

ONNX is protobuf. To walk its wire format takes a page of code and spares the ``onnx`` package at
run time. Field numbers are those of ``onnx.proto``. The bytes may come from anywhere: whatever is
broken ends in a ModelError.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from headpose_core.errors import ModelError

# The shipped ResNet18 takes 22 MB, the paper's largest teacher would take 180 MB.
MAX_FILE_BYTES = 200 * 1024 * 1024

# Where tensors can be in a model: message -> {field: message in it}.
_CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1  # of a tensor
_INPUT_SHAPE = (7, 11, 2, 1, 2)  # graph, input, type, tensor type, shape; in it: dim (1)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_BROKEN = "expected an ONNX model, got truncated data or another format"


def read_model_file(path: Path) -> bytes:
    """Read a model file whole.

    Raises ModelError when it is not a regular file, is empty, larger than ``MAX_FILE_BYTES``, not
    protobuf, or keeps weights in a second file (which a runtime that gets bytes would look for in
    the current folder).
    """
    data = _read_regular_file(path)
    try:
        external = uses_external_data(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    if external:
        raise ModelError(
            f"{path}: expected a model in one file, got one that keeps weights in another "
            "(ONNX external data); export it again with the weights inside (external_data=False)"
        )
    return data


def uses_external_data(data: bytes) -> bool:
    """Whether any tensor of an ONNX model lives in another file. ModelError: not protobuf."""
    todo = [("model", memoryview(data))]
    while todo:
        kind, message = todo.pop()
        for field, value in _fields(message):
            if kind == "tensor":
                if field == _EXTERNAL_DATA or (field, value) == (_DATA_LOCATION, _EXTERNAL):
                    return True
            elif field in _CHILDREN[kind]:
                todo.append((_CHILDREN[kind][field], _message(value)))
    return False


def with_input_size(data: bytes, height: int, width: int) -> bytes:
    """An ONNX model whose first input is (1, 3, height, width), for fully convolutional networks.

    Only the declared shape of the input changes; the shapes declared behind it turn stale, which
    runtimes warn about and correct. Raises ModelError when ``data`` is no model with a first input
    of rank 4.
    """
    shape = memoryview(data)
    for step in _INPUT_SHAPE:
        shape = _first(shape, step)[0]
    rank = sum(field == 1 for field, _ in _fields(shape))
    if rank != 4:
        raise ModelError(f"expected a model with an input (1, 3, H, W), got one of rank {rank}")
    dims = b"".join(_encode(1, _encode(1, size)) for size in (1, 3, height, width))
    return _replace(memoryview(data), _INPUT_SHAPE, dims)


def _read_regular_file(path: Path) -> bytes:
    """The bytes of a file that is no folder, pipe or device and of an allowed size."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: expected a regular .onnx file, got a folder or a device")
        if not 0 < status.st_size <= MAX_FILE_BYTES:
            raise ModelError(
                f"{path}: expected an .onnx file of 1 to {MAX_FILE_BYTES} bytes, "
                f"got {status.st_size}"
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: cannot read this model file ({error.strerror}); "
            "give the path of an existing .onnx file"
        ) from error


def _replace(message: memoryview, path: tuple[int, ...], new: bytes) -> bytes:
    """The message with the first sub-message at ``path`` replaced, and every length around it."""
    if not path:
        return new
    inner, start, end = _first(message, path[0])
    return (
        message[:start].tobytes()
        + _encode(path[0], _replace(inner, path[1:], new))
        + message[end:]
    )


def _first(message: memoryview, field: int) -> tuple[memoryview, int, int]:
    """The first sub-message with this field number; where its field begins and ends."""
    end = 0
    while end < len(message):
        start = end
        number, value, end = _field(message, start)
        if number == field:
            return _message(value), start, end
    raise ModelError("expected an ONNX model with an input, got one without or another format")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field: an int, or the bytes of anything that is not a varint."""
    position = 0
    while position < len(message):
        number, value, position = _field(message, position)
        yield number, value


def _field(message: memoryview, position: int) -> tuple[int, memoryview | int, int]:
    """Number and value of the field at ``position``, and where the next one begins."""
    key, position = _varint(message, position)
    number, wire_type = key >> 3, key & 7
    if wire_type == _VARINT:
        value, position = _varint(message, position)
        return number, value, position
    if wire_type == _BYTES:
        size, position = _varint(message, position)
    elif wire_type in (_FIXED64, _FIXED32):
        size = 8 if wire_type == _FIXED64 else 4
    else:
        raise ModelError(_BROKEN)
    if size > len(message) - position:
        raise ModelError(_BROKEN)
    return number, message[position : position + size], position + size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """The variable-length integer at ``position``, and where it ends; ten bytes hold 64 bits."""
    value = 0
    for index, byte in enumerate(message[position : position + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise ModelError(_BROKEN)


def _encode(field: int, value: bytes | int) -> bytes:
    """One field in protobuf's wire format: an integer, or bytes with their length."""
    if isinstance(value, int):
        return _encode_varint(field << 3 | _VARINT) + _encode_varint(value)
    return _encode_varint(field << 3 | _BYTES) + _encode_varint(len(value)) + value


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _message(value: memoryview | int) -> memoryview:
    """The bytes of a sub-message; a number in its place means that this is no ONNX file."""
    if isinstance(value, int):
        raise ModelError(_BROKEN)
    return value
