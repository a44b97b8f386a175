# SPDX-License-Identifier: Apache-2.0
"""What happens to files: they are cut, and their bytes flipped, doubled and put elsewhere."""

from __future__ import annotations

import random
from collections.abc import Callable


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 30)):
        data[chance.randrange(len(data))] = chance.randrange(256)


def flip_ends(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(min(len(data), 800))
        data[chance.choice([at, -1 - at])] = chance.choice([0, 255, chance.randrange(256)])


def shuffle(data: bytearray, chance: random.Random) -> None:
    size = len(data) // chance.randint(2, 20) + 1
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    chance.shuffle(parts)
    data[:] = b"".join(parts)


def double(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start:start] = data[start : start + chance.randint(1, 5000)]


def blank(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.randint(1, 5000))
    data[start:end] = bytes(end - start)


DAMAGES: list[Callable[[bytearray, random.Random], None]] = [
    *(cut, flip, flip_ends, shuffle, double, blank)
]
