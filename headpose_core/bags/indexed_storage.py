# SPDX-License-Identifier: Apache-2.0
"""Whole files of a bag, which rosbags reads; where it gives up, what comes after is salvaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

from mcap.data_stream import ReadDataStream
from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.metadata import dump_qos_v8
from rosbags.rosbag2.storage_mcap import McapReader

from headpose_core.bags.salvage_mcap import SalvagedMcap
from headpose_core.bags.salvage_sqlite import SalvagedSqlite
from headpose_core.bags.storage import (
    QOS,
    TYPE_HASH,
    Storage,
    StoredMessage,
    Topic,
    by_name,
    same_notation,
)
from headpose_core.bags.unindexed_mcap import UnindexedMcap


class NotIndexedError(ValueError):
    """The file may be whole, but it does not say where its messages are."""


class IndexedStorage:
    """A ``Storage`` of a whole file. rosbags' errors come through, those of its parsers too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = ""
        self._reader = Reader(path)
        self._reader.open()
        inside = self._reader.storage
        try:
            if isinstance(inside, McapReader) and not _has_index(inside):
                raise NotIndexedError(f"{path}: expected an index of its messages")
            self.topics = {c.id: _topic(c, inside) for c in inside.connections}
        except ValueError:
            self.close()
            raise

    def messages(self, channels: Collection[int], start_ns: int = 0) -> Iterator[StoredMessage]:
        """The messages of these channels from ``start_ns`` on, in the order of time."""
        wanted = [c for c in self._reader.connections if c.id in channels]
        missing = Counter({c.id: c.msgcount for c in wanted})
        reason, last_ns, at_last = "", start_ns, Counter[int]()
        try:
            for connection, stamp_ns, data in self._reader.storage.messages(wanted, start_ns):
                if not (isinstance(stamp_ns, int) and isinstance(data, bytes)):
                    continue  # a damaged database has values of any type
                at_last = Counter() if stamp_ns != last_ns else at_last
                at_last[connection.id] += 1
                missing[connection.id] -= 1
                last_ns = stamp_ns
                yield StoredMessage(connection.id, stamp_ns, data)
        except Exception as error:  # rosbags lets those of its parsers through
            reason = f" ({error})"
            for message in self._salvaged(channels, last_ns):
                if message.stamp_ns == last_ns and at_last[message.channel]:
                    at_last[message.channel] -= 1  # has been given already
                    continue
                missing[message.channel] -= 1
                yield message
        if reason or +missing:
            lost = by_name(+missing, self.topics)
            self.lost = f"damaged{reason}: {(+missing).total()} messages are lost{lost}"

    def close(self) -> None:
        """Nothing can be read any more."""
        self._reader.close()

    def _salvaged(self, channels: Collection[int], start_ns: int) -> Iterator[StoredMessage]:
        try:
            storage = salvaged(self.path)
        except ValueError:
            return
        with closing(storage):
            yield from storage.messages(channels, start_ns)


def open_storage(path: Path) -> Storage:
    """The right reader for a .db3 or .mcap file, whole or not. ValueError: nothing can be read."""
    reason = ""
    try:
        return IndexedStorage(path)
    except NotIndexedError:
        pass
    except Exception as error:  # rosbags lets those of its parsers through
        reason = str(error)
    if path.suffix == ".mcap":
        try:
            return UnindexedMcap(path)
        except ValueError as error:
            reason = reason or str(error)
    try:
        storage = salvaged(path)
    except ValueError as error:
        raise ValueError(reason or str(error)) from error
    storage.lost = f"damaged ({reason}): {storage.lost}"
    return storage


def salvaged(path: Path) -> Storage:
    """What is left of a damaged file. ValueError: nothing is."""
    if path.suffix == ".mcap":
        return SalvagedMcap(path)
    if path.suffix == ".db3":
        return SalvagedSqlite(path)
    raise ValueError(f"{path}: expected an .mcap or .db3 file")


def _has_index(file: McapReader) -> bool:
    """Whether the index has all messages that the file counts; without any it has, too."""
    assert file.statistics
    indexed = sum(sum(chunk.channel_count.values()) for chunk in file.chunks)
    has_all = indexed == file.statistics.message_count
    return has_all and all(chunk.message_index_length for chunk in file.chunks)


def _topic(connection: Connection, file: object) -> Topic:
    metadata = {}
    ext = connection.ext
    assert isinstance(ext, ConnectionExtRosbag2)
    texts = (*connection[1:3], connection.msgdef.data, connection.digest, ext.serialization_format)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("expected texts in the list of topics")  # as above
    if isinstance(file, McapReader):
        metadata = _strings(file.channels[connection.id].metadata)
    else:
        metadata = {QOS: dump_qos_v8(ext.offered_qos_profiles)}
        metadata |= {TYPE_HASH: connection.digest} if connection.digest else {}
    return Topic(
        connection.topic,
        connection.msgtype,
        connection.msgdef,
        connection.msgcount,
        ext.serialization_format,
        same_notation(metadata),
    )


def _strings(data: bytes) -> dict[str, str]:
    """A map of strings as it lies in an MCAP file."""
    stream, found = ReadDataStream(BytesIO(data)), {}
    while stream.count < len(data):
        key = stream.read_prefixed_string()
        found[key] = stream.read_prefixed_string()
    return found
