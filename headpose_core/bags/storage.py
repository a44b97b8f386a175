# SPDX-License-Identifier: Apache-2.0
"""What every reader of a bag's file has in common: its topics, and its messages in time order.

A bag is a folder of files, or one file. ``indexed_storage`` reads whole ones, ``unindexed_mcap``
whole ones without an index, ``salvage_mcap`` and ``salvage_sqlite`` what is left of damaged ones.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2.metadata import dump_qos_v8, parse_qos

# Of a chunk or a message that is decompressed. Recorders close chunks at a megabyte or a few.
MOST_BYTES = 1 << 28
NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, "")
# By the names that MCAP and SQLite files give them.
_FORMATS = {
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
    "omgidl": MessageDefinitionFormat.IDL,
}
QOS, TYPE_HASH = "offered_qos_profiles", "topic_type_hash"  # names in the metadata of channels


@dataclass(frozen=True)
class Topic:
    """A topic: its message type, that type's definition, and how many messages there are.

    serialization: of the messages. metadata: by the names of MCAP's channels, such as the quality
    of service that publishers offered.
    """

    name: str
    type_name: str
    definition: MessageDefinition
    count: int
    serialization: str = "cdr"
    metadata: dict[str, str] = field(default_factory=dict)


class StoredMessage(NamedTuple):
    """Serialised ``data`` of a channel of a file, with its time of recording in nanoseconds."""

    channel: int
    stamp_ns: int
    data: bytes


class Storage(Protocol):
    """One file of a bag.

    topics: by the number of their channel. lost: what cannot be read, as a sentence; "" when all
    can, as far as is known until now.
    """

    path: Path
    topics: dict[int, Topic]
    lost: str

    def messages(self, channels: Collection[int], start_ns: int = 0) -> Iterator[StoredMessage]:
        """The messages of these channels from ``start_ns`` on, in the order of time."""
        ...

    def close(self) -> None:
        """Nothing can be read any more."""
        ...


class Block(NamedTuple):
    """Messages that lie together in a file: where, since when, and on which channels."""

    start_ns: int
    offset: int
    channels: tuple[int, ...]


def in_time_order(
    blocks: Iterable[Block],
    channels: Collection[int],
    read: Callable[[int], Iterable[StoredMessage]],
) -> Iterator[StoredMessage]:
    """The messages of these channels, whatever their order in the file.

    read: the messages of the block at an offset. Blocks are read when their time has come, so
    that no more of them are in memory than overlap.
    """
    waiting: list[tuple[int, int, int, StoredMessage | None]] = [
        (block.start_ns, block.offset, -1, None)
        for block in blocks
        if not set(channels).isdisjoint(block.channels)
    ]
    heapq.heapify(waiting)
    while waiting:
        _, offset, _, ready = heapq.heappop(waiting)
        if ready is not None:
            yield ready
            continue
        for number, message in enumerate(read(offset)):
            if message.channel in channels:
                heapq.heappush(waiting, (message.stamp_ns, offset, number, message))


def definition(encoding: str, text: bytes) -> MessageDefinition:
    """A message definition in the encoding of this name; none when rosbags does not know it."""
    if encoding not in _FORMATS:
        return NO_DEFINITION
    return MessageDefinition(_FORMATS[encoding], text.decode(errors="replace"))


def same_notation(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata with the quality of service as rosbag2 wrote it until its version 8.

    Every ROS 2 that is alive reads that; version 9 has words for the numbers.
    """
    try:
        return {**metadata, QOS: dump_qos_v8(parse_qos(metadata.get(QOS, "")))}
    except Exception:  # rosbags lets those of its parsers through; the text may be damaged
        return metadata


def by_name(counts: Counter[int], topics: Mapping[int, Topic]) -> str:
    """Numbers of messages by the name of their channel: " (2 of /a, 1 of /b)"; "" for none."""
    names = {number: topic.name for number, topic in topics.items()}
    listing = ", ".join(f"{n} of {names.get(c, f'channel {c}')}" for c, n in counts.items())
    return f" ({listing})" if listing else ""
