# SPDX-License-Identifier: Apache-2.0
"""Protobuf's wire format, as far as ONNX files use it. Broken bytes end in a ModelError.

A message is a row of fields; a field is a number, a wire type and a value. What the numbers mean
is the business of ``onnx_file``.
"""

from __future__ import annotations

from collections.abc import Iterator

from headpose_core.errors import ModelError

Value = memoryview | int
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_BROKEN = "expected an ONNX model, got truncated data or another format"


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field: an int, or the bytes of anything that is not a varint."""
    position = 0
    while position < len(message):
        number, value, position = _field(message, position)
        yield number, value


def first(message: memoryview, field: int) -> tuple[memoryview, int, int]:
    """The first sub-message with this field number; where its field begins and ends."""
    end = 0
    while end < len(message):
        start = end
        number, value, end = _field(message, start)
        if number == field:
            return message_in(value), start, end
    raise ModelError("expected an ONNX model with an input, got one without or another format")


def message_in(value: Value) -> memoryview:
    """The bytes of a sub-message; a number in its place means that this is no ONNX file."""
    if isinstance(value, int):
        raise ModelError(_BROKEN)
    return value


def text_in(value: Value) -> str:
    """The text of a string field."""
    try:
        return bytes(message_in(value)).decode()
    except UnicodeDecodeError as error:
        raise ModelError(_BROKEN) from error


def number_in(value: Value) -> int:
    """The value of an integer field; negative ones come as 64 bits in two's complement."""
    if not isinstance(value, int):
        raise ModelError(_BROKEN)
    return value - (1 << 64) if value >> 63 else value


def encode(field: int, value: bytes | int) -> bytes:
    """One field in protobuf's wire format: an integer, or bytes with their length."""
    if isinstance(value, int):
        return _encode_varint(field << 3 | _VARINT) + _encode_varint(value)
    return _encode_varint(field << 3 | _BYTES) + _encode_varint(len(value)) + value


def _field(message: memoryview, position: int) -> tuple[int, Value, int]:
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


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
