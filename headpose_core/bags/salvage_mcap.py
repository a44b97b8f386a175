# SPDX-License-Identifier: Apache-2.0
"""What is left of a damaged MCAP file: the recorder was killed, the disk was full, bits flipped.

The records of the data section are read one after the other, as https://mcap.dev/spec lays them
out, without the index at the end, which such files lack.
"""

from __future__ import annotations

import struct
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import lz4.frame
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"\x89MCAP0\r\n"
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _MESSAGE_INDEX, _DATA_END = 3, 4, 5, 6, 7, 15
_CHUNK_HEADER = 40
_MOST_BYTES = 1 << 28  # of a chunk; recorders close them at a megabyte or a few
_FORMATS = {"ros2msg": MessageDefinitionFormat.MSG, "ros2idl": MessageDefinitionFormat.IDL}
# Each takes the bytes of a chunk and gives what comes out before they break off.
_DECOMPRESSORS: dict[str, Any] = {
    "zstd": zstd.ZstdDecompressor,
    "lz4": lz4.frame.LZ4FrameDecompressor,
}


class _Channel(NamedTuple):
    topic: str
    schema: int
    serialization: str


class SalvagedMcap:
    """The readable messages of an MCAP file, with the interface of rosbags' storages.

    connections: the topics. summary: what was lost, as far as can be told: bytes behind the last
    record that is whole, and messages in broken chunks, as the index behind such a chunk counts.
    Raises ValueError when the file does not begin as an MCAP file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lost_bytes = self._lost_messages = 0
        self._schemas: dict[int, tuple[str, MessageDefinition]] = {}
        self._channels: dict[int, _Channel] = {}
        counts = Counter(channel for channel, _, _ in self._scan())
        self.connections = [
            self._connection(number, channel, counts[number])
            for number, channel in self._channels.items()
        ]
        self.summary = (
            f"{sum(counts.values())} messages can be read, {self._lost_messages} in broken chunks "
            f"and {self._lost_bytes} bytes at the end cannot"
        )

    def messages(
        self, connections: Collection[Connection], start: int | None = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Connection, time in nanoseconds and data, in the order of the file."""
        wanted = {connection.id: connection for connection in connections}
        for channel, stamp_ns, data in self._scan():
            if channel in wanted and (start is None or stamp_ns >= start):
                yield wanted[channel], stamp_ns, data

    def _connection(self, number: int, channel: _Channel, count: int) -> Connection:
        nothing = ("", MessageDefinition(MessageDefinitionFormat.NONE, ""))
        name, definition = self._schemas.get(channel.schema, nothing)
        ext = ConnectionExtRosbag2(channel.serialization, [])
        return Connection(number, channel.topic, name, definition, "", count, ext, self)

    def _scan(self) -> Iterator[tuple[int, int, bytes]]:
        """Channel, time and data of each message; notes schemas, channels and losses."""
        self._lost_messages, chunk_is_broken = 0, False
        with self.path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError(f"{self.path}: expected an MCAP file, its first bytes are others")
            good = file.tell()
            for kind, content, whole in _records(file):
                if kind == _CHUNK and len(content) > _CHUNK_HEADER:
                    yield from self._chunk(content)
                    chunk_is_broken = self._chunk_is_broken
                elif kind == _MESSAGE_INDEX and chunk_is_broken and whole:
                    self._lost_messages += len(content) // 16
                elif whole:
                    yield from self._read(kind, content)
                if not whole:
                    break
                good = file.tell()
            self._lost_bytes = self.path.stat().st_size - good

    def _read(self, kind: int, content: bytes) -> Iterator[tuple[int, int, bytes]]:
        """The message in a record, if it is one; what is in it may be damaged."""
        try:
            yield from self._record(kind, content)
        except struct.error:
            self._lost_messages += 1

    def _chunk(self, content: bytes) -> Iterator[tuple[int, int, bytes]]:
        size, name_size = struct.unpack_from("<16xQ4xI", content)
        name = content[32 : 32 + name_size].decode(errors="replace")
        data = content[40 + name_size :]
        unpacked = data if not name else _unpack(name, data, min(size, _MOST_BYTES))
        self._chunk_is_broken = len(unpacked) != size
        for kind, record, whole in _records(BytesIO(unpacked)):
            if whole:
                yield from self._read(kind, record)

    def _record(self, kind: int, content: bytes) -> Iterator[tuple[int, int, bytes]]:
        if kind == _MESSAGE:
            channel, stamp_ns = struct.unpack_from("<H4xQ", content)
            yield channel, stamp_ns, content[22:]
        elif kind == _SCHEMA:
            (number,) = struct.unpack_from("<H", content)
            name, encoding, text = _strings(content[2:], 3)
            form = _FORMATS.get(encoding, MessageDefinitionFormat.NONE)
            self._schemas[number] = name, MessageDefinition(form, text)
        elif kind == _CHANNEL:
            number, schema = struct.unpack_from("<HH", content)
            topic, serialization = _strings(content[4:], 2)
            self._channels[number] = _Channel(topic, schema, serialization)


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Kind, content and whether it is whole, until the data end or the bytes do."""
    while len(head := file.read(9)) == 9:
        kind, size = struct.unpack("<BQ", head)
        if kind == _DATA_END or not 0 < kind < 0x80:
            return
        here = file.tell()
        rest = file.seek(0, 2) - here
        file.seek(here)
        content = file.read(min(size, rest))
        yield kind, content, len(content) == size


def _unpack(name: str, data: bytes, most: int) -> bytes:
    """As much of a compressed chunk as comes out, up to about so many bytes."""
    if name not in _DECOMPRESSORS:
        return b""
    decompressor, out = _DECOMPRESSORS[name](), bytearray()
    step = 1 << 12
    try:
        for start in range(0, len(data), step):
            out += decompressor.decompress(data[start : start + step])
            if len(out) > most:
                break  # a few bytes can ask for gigabytes
    except (zstd.ZstdError, RuntimeError, EOFError):
        pass  # what came before the damage is good
    return bytes(out)


def _strings(data: bytes, count: int) -> list[str]:
    found, at = [], 0
    for _ in range(count):
        (size,) = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + size].decode(errors="replace"))
        at += 4 + size
    return found
