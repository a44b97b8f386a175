# SPDX-License-Identifier: Apache-2.0
"""What is left of a damaged MCAP file: the recorder was killed, the disk was full, bits flipped.

The records of the data section are found one after the other, as https://mcap.dev/spec lays them
out, without the index at the end, which such files lack. The ``mcap`` package cannot do that: it
ends at the first record that is not whole, and takes no part of a chunk. So of a recording in one
chunk that was cut at 45 % it gives no message, and this gives 44 of 100.
"""

from __future__ import annotations

import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import lz4.frame
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, McapRecord, Message, MessageIndex, Schema

from headpose_core.bags.storage import MOST_BYTES, by_name
from headpose_core.bags.unindexed_mcap import ScannedMcap, messages_in

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"\x89MCAP0\r\n"
_CHUNK_HEADER = 40
# Each takes the bytes of a chunk and gives what comes out before they break off.
_DECOMPRESSORS: dict[str, Any] = {
    "zstd": zstd.ZstdDecompressor,
    "lz4": lz4.frame.LZ4FrameDecompressor,
}
_PARSERS: dict[int, Callable[[ReadDataStream, int], McapRecord]] = {
    Opcode.SCHEMA: lambda stream, _: Schema.read(stream),
    Opcode.CHANNEL: lambda stream, _: Channel.read(stream),
    Opcode.MESSAGE: Message.read,
    Opcode.MESSAGE_INDEX: lambda stream, _: MessageIndex.read(stream),
}


class _Bytes(NamedTuple):
    """A record as it lies in the file, or what is there of it."""

    opcode: int
    content: bytes
    is_whole: bool


class SalvagedMcap(ScannedMcap):
    """The readable messages of an MCAP file.

    lost: bytes behind the last record that is whole, and messages in broken chunks, as the index
    behind such a chunk counts. Raises ValueError when the file does not begin as an MCAP file.
    """

    def __init__(self, path: Path) -> None:
        self._broken = Counter[int]()  # messages, by channel
        self._lost_bytes = 0
        super().__init__(path)
        broken = +self._broken
        self.lost = (
            f"{self._counts.total()} messages can be read, {broken.total()} in broken chunks"
            f"{by_name(broken, self.topics)} and {self._lost_bytes} bytes at the end cannot"
        )

    def _scan(self, file: BinaryIO) -> Iterator[tuple[int, list[McapRecord]]]:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError(f"{self.path}: expected an MCAP file, its first bytes are others")
        offset, is_broken = file.tell(), False
        for record in _found(file):
            if record.opcode == Opcode.DATA_END:
                return
            parts, is_whole = _parts(record)
            if record.opcode == Opcode.CHUNK:
                is_broken = not is_whole
            if is_broken:  # the indexes behind the chunk count what was read of it, too
                self._broken.subtract(message.channel_id for message in messages_in(parts))
                for part in parts:
                    if isinstance(part, MessageIndex):
                        self._broken[part.channel_id] += len(part.records)
            yield offset, parts
            if not record.is_whole:
                break
            offset = file.tell()
        self._lost_bytes = self.path.stat().st_size - offset

    def _records(self, file: BinaryIO) -> list[McapRecord]:
        return _parts(next(_found(file)))[0]


def _found(file: BinaryIO) -> Iterator[_Bytes]:
    """The records until the data end or the bytes do; the last one may not be whole."""
    opcode = 0
    while opcode != Opcode.DATA_END and len(head := file.read(9)) == 9:
        opcode, size = struct.unpack("<BQ", head)
        if not 0 < opcode < 0x80:
            return
        here = file.tell()
        rest = file.seek(0, 2) - here
        file.seek(here)
        content = file.read(min(size, rest))
        yield _Bytes(opcode, content, len(content) == size)


def _parts(record: _Bytes) -> tuple[list[McapRecord], bool]:
    """The records of a chunk, or this one, if they are whole; and whether that is all of it."""
    if record.opcode != Opcode.CHUNK:
        return _parsed([record]), record.is_whole
    if len(record.content) <= _CHUNK_HEADER:
        return [], False
    size, name_size = struct.unpack_from("<16xQ4xI", record.content)
    name = record.content[32 : 32 + name_size].decode(errors="replace")
    data = record.content[_CHUNK_HEADER + name_size :]
    unpacked = _unpacked(name, data, min(size, MOST_BYTES)) if name else data
    return _parsed(_found(BytesIO(unpacked))), len(unpacked) == size


def _parsed(records: Iterable[_Bytes]) -> list[McapRecord]:
    """What the package makes of them; nothing of those that are damaged or say nothing here."""
    found = []
    for opcode, content, is_whole in records:
        if is_whole and opcode in _PARSERS:
            try:
                stream = ReadDataStream(BytesIO(content))
                found.append(_PARSERS[opcode](stream, len(content)))
            except (McapError, struct.error, UnicodeDecodeError):
                continue
    return found


def _unpacked(name: str, data: bytes, most: int) -> bytes:
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
