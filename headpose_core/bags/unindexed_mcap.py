# SPDX-License-Identifier: Apache-2.0
"""MCAP files without an index of their messages, such as those of rosbag2's preset "fastwrite".

The ``mcap`` package reads their records one after the other. What was seen becomes an index: so
the messages come in the order of time without all of them in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import MAGIC_SIZE, StreamReader, breakup_chunk

from headpose_core.bags.storage import (
    MOST_BYTES,
    NO_DEFINITION,
    Block,
    StoredMessage,
    Topic,
    definition,
    in_time_order,
    same_notation,
)


class ScannedMcap:
    """A ``Storage`` of an MCAP file that is looked through when it is opened.

    How records are found is for the classes below to say.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = ""
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._counts = Counter[int]()  # of messages, by channel
        self._blocks: list[Block] = []
        with path.open("rb") as file:
            for offset, records in self._scan(file):
                self._note(offset, records)
        self.topics = {number: self._topic(number) for number in self._channels}

    def messages(self, channels: Collection[int], start_ns: int = 0) -> Iterator[StoredMessage]:
        """The messages of these channels from ``start_ns`` on, in the order of time."""
        with self.path.open("rb") as file:

            def read(offset: int) -> Iterator[StoredMessage]:
                file.seek(offset)
                for message in messages_in(self._records(file)):
                    yield StoredMessage(message.channel_id, message.log_time, message.data)

            for message in in_time_order(self._blocks, channels, read):
                if message.stamp_ns >= start_ns:
                    yield message

    def close(self) -> None:
        """The file is open only while messages are read."""

    def _scan(self, file: BinaryIO) -> Iterator[tuple[int, list[McapRecord]]]:
        """Where each record of a file begins, and it or, of a chunk, the records in it."""
        raise NotImplementedError

    def _records(self, file: BinaryIO) -> list[McapRecord]:
        """The same for the record at which the file stands."""
        raise NotImplementedError

    def _note(self, offset: int, records: list[McapRecord]) -> None:
        for record in records:
            if isinstance(record, Schema):
                self._schemas[record.id] = record
            elif isinstance(record, Channel):
                self._channels[record.id] = record
        if messages := messages_in(records):
            counts = Counter(message.channel_id for message in messages)
            start_ns = min(message.log_time for message in messages)
            self._blocks.append(Block(start_ns, offset, tuple(counts)))
            self._counts += counts

    def _topic(self, number: int) -> Topic:
        channel = self._channels[number]
        schema = self._schemas.get(channel.schema_id)
        return Topic(
            channel.topic,
            schema.name if schema else "",
            definition(schema.encoding, schema.data) if schema else NO_DEFINITION,
            self._counts[number],
            channel.message_encoding,
            same_notation(channel.metadata),
        )


class UnindexedMcap(ScannedMcap):
    """A whole MCAP file, whose checksums are looked at. Raises ValueError when it is damaged."""

    def _scan(self, file: BinaryIO) -> Iterator[tuple[int, list[McapRecord]]]:
        size = self.path.stat().st_size
        reader = StreamReader(file, emit_chunks=True, validate_crcs=True, record_size_limit=size)
        offset = MAGIC_SIZE
        try:
            for record in reader.records:
                yield offset, _parts(record)
                offset = file.tell()
        except Exception as error:  # the package lets struct.error and others through
            raise ValueError(f"{self.path}: expected a whole MCAP file ({error!r})") from error

    def _records(self, file: BinaryIO) -> list[McapRecord]:
        return _parts(next(StreamReader(file, skip_magic=True, emit_chunks=True).records))


def messages_in(records: list[McapRecord]) -> list[Message]:
    """Those of the records that are messages."""
    return [record for record in records if isinstance(record, Message)]


def _parts(record: McapRecord) -> list[McapRecord]:
    """The records of a chunk, or this one."""
    if not isinstance(record, Chunk):
        return [record]
    if record.uncompressed_size > MOST_BYTES:
        raise ValueError(f"a chunk of {record.uncompressed_size} bytes")
    return breakup_chunk(record, validate_crc=True)
