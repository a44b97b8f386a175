# SPDX-License-Identifier: Apache-2.0
"""Bytes that are nearly a model: what a damaged or a hostile file may hold.

A changed byte of a file mostly breaks a length near its beginning, and whoever reads it gets no
further. Here the damage is done to the tree of fields, and the lengths around it are right again
unless a wrong length is the damage.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

# Numbers at the edges of what programs take them for.
HOSTILE = (0, 1, 2, 127, 128, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
# Varints that end nowhere or do not fit into 64 bits.
BAD_VARINTS = (b"\x80" * 3, b"\xff" * 10, b"\xff" * 9 + b"\x7f", b"\x80" * 11 + b"\x01")


@dataclass
class Field:
    """Number, and a varint, bytes, or the fields of a message in it.

    wire_type: by which it is written; None for the one that fits the value. size: the length that
    is written; None for the right one.
    """

    number: int
    value: int | bytes | list[Field]
    wire_type: int | None = None
    size: int | None = None

    def written(self) -> bytes:
        if isinstance(self.value, int):
            wire_type = 0 if self.wire_type is None else self.wire_type
            return varint(self.number << 3 | wire_type) + varint(self.value)
        data = written(self.value) if isinstance(self.value, list) else self.value
        wire_type = 2 if self.wire_type is None else self.wire_type
        size = varint(len(data) if self.size is None else self.size) if wire_type == 2 else b""
        return varint(self.number << 3 | wire_type) + size + data


def written(fields: list[Field]) -> bytes:
    return b"".join(field.written() for field in fields)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def tree(message: Message) -> list[Field]:
    """The fields of a message as the onnx package has them, in the order of their numbers."""
    return [
        _field(descriptor, value)
        for descriptor, values in message.ListFields()
        for value in (values if descriptor.is_repeated else [values])
    ]


def _field(descriptor: Any, value: Any) -> Field:
    if isinstance(value, Message):
        return Field(descriptor.number, tree(value))
    if isinstance(value, float):
        return Field(descriptor.number, struct.pack("<f", value), wire_type=5)
    if isinstance(value, int):
        return Field(descriptor.number, value % 2**64)
    return Field(descriptor.number, value.encode() if isinstance(value, str) else value)


def _copy(fields: list[Field]) -> list[Field]:
    return [
        Field(field.number, _copy(value), field.wire_type)
        if isinstance(value := field.value, list)
        else Field(field.number, value, field.wire_type)
        for field in fields
    ]


def rows(fields: list[Field]) -> Iterator[list[Field]]:
    """Every message of a tree, from the outermost inward."""
    yield fields
    for field in fields:
        if isinstance(field.value, list):
            yield from rows(field.value)


def _drop(row: list[Field], at: int, rng: random.Random) -> None:
    del row[at]


def _repeat(row: list[Field], at: int, rng: random.Random) -> None:
    row[at:at] = [row[at]] * rng.choice([1, 2, 70])


def _swap(row: list[Field], at: int, rng: random.Random) -> None:
    other = rng.choice(row)
    row[at].value, other.value = other.value, row[at].value


def _renumber(row: list[Field], at: int, rng: random.Random) -> None:
    row[at].number = rng.choice([rng.randrange(30), rng.choice(row).number, 2**29])


def _set(row: list[Field], at: int, rng: random.Random) -> None:
    row[at].value = rng.choice(HOSTILE)


def _many(row: list[Field], at: int, rng: random.Random) -> None:
    numbers = [rng.choice([0, 1, rng.choice(HOSTILE)]) for _ in range(rng.choice([2, 3, 70]))]
    row[at : at + 1] = [Field(row[at].number, value) for value in numbers]


def _cut(row: list[Field], at: int, rng: random.Random) -> None:
    data = _bytes_of(row[at])
    row[at].value = data[: rng.randrange(len(data) + 1)]


def _flip(row: list[Field], at: int, rng: random.Random) -> None:
    data = bytearray(_bytes_of(row[at]) or b"\0")
    for _ in range(rng.choice([1, 1, 3])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    row[at].value = bytes(data)


def _noise(row: list[Field], at: int, rng: random.Random) -> None:
    row[at].value = noise(rng)


def _wrong_size(row: list[Field], at: int, rng: random.Random) -> None:
    row[at].value = data = _bytes_of(row[at])
    row[at].size = rng.choice([max(len(data) - 1, 0), len(data) + 1, *HOSTILE])


def _wrong_type(row: list[Field], at: int, rng: random.Random) -> None:
    row[at].wire_type = rng.randrange(8)


def _bad_varint(row: list[Field], at: int, rng: random.Random) -> None:
    row[at].value = _bytes_of(row[at]) + rng.choice(BAD_VARINTS)


def _bytes_of(field: Field) -> bytes:
    if isinstance(field.value, int):
        return varint(field.value)
    return written(field.value) if isinstance(field.value, list) else field.value


DAMAGES: tuple[Callable[[list[Field], int, random.Random], None], ...] = (
    _drop,
    _repeat,
    _swap,
    _renumber,
    _set,
    _many,
    _cut,
    _flip,
    _noise,
    _wrong_size,
    _wrong_type,
    _bad_varint,
)


def damaged(model: list[Field], rng: random.Random) -> bytes:
    """The model with one to three kinds of damage anywhere in its tree."""
    fields = _copy(model)
    for _ in range(rng.choice([1, 1, 2, 3])):
        row = rng.choice([row for row in rows(fields) if row])
        rng.choice(DAMAGES)(row, rng.randrange(len(row)), rng)
    return written(fields)


def noise_inside(model: list[Field], rng: random.Random) -> bytes:
    """The model with random bytes in the place of one field's value."""
    fields = _copy(model)
    rng.choice([field for row in rows(fields) for field in row]).value = noise(rng)
    return written(fields)


def hostile_weights(rng: random.Random) -> bytes:
    """A model of one tensor whose shape, element type and data need not fit together."""
    axes = rng.choice([0, 1, 2, 3, rng.randrange(60, 70)])
    likely = rng.choice([(0, 1), (1,), (0, *HOSTILE), HOSTILE])
    dims = [Field(1, rng.choice(likely)) for _ in range(axes)]
    dtype = Field(2, rng.choice([1, 1, 10, 7, rng.choice(HOSTILE)]))
    data = Field(9, rng.randbytes(rng.choice([0, 1, 2, 4, 8, 16])))
    return Field(7, [Field(5, [*dims, dtype, Field(8, b"w"), data])]).written()


def random_graph(rng: random.Random) -> bytes:
    """A model whose graph is of random fields in each other."""
    return Field(7, _random_fields(rng, depth=5)).written()


def noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(300))


def _random_fields(rng: random.Random, depth: int) -> list[Field]:
    """By numbers that ONNX has in such places, and others."""
    numbers = (1, 2, 4, 5, 7, 8, 9, 11, 12, 13, 14, 15, 20, rng.randrange(1, 2**29))

    def value() -> int | bytes | list[Field]:
        kind = rng.randrange(5 if depth else 2)
        if kind == 0:
            return rng.choice([rng.randrange(20), rng.choice(HOSTILE)])
        return rng.randbytes(rng.randrange(6)) if kind == 1 else _random_fields(rng, depth - 1)

    return [Field(rng.choice(numbers), value()) for _ in range(rng.randrange(6))]
