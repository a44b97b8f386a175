# SPDX-License-Identifier: Apache-2.0
"""ROS 2 bags, folders or single files, SQLite or MCAP, compressed or not; damaged ones as well."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import Connection, MessageDefinition
from rosbags.rosbag2 import Reader

from headpose_core.bags.salvage_mcap import SalvagedMcap
from headpose_core.bags.salvage_sqlite import SalvagedSqlite
from headpose_core.errors import BagError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


_SALVAGED: dict[str, Any] = {".mcap": SalvagedMcap, ".db3": SalvagedSqlite}


@dataclass(frozen=True)
class Topic:
    """A topic of a bag: its message type, that type's definition, and how many messages it has."""

    name: str
    type_name: str
    definition: MessageDefinition
    count: int


class Bag:
    """A recording, opened for reading; to be used with ``with``.

    topics: by name. lost: what could not be read, as sentences; complete after reading.
    Raises BagError when nothing in it can be read at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost: list[str] = []
        self._readers: list[Reader] = []
        self._unpack_messages = False
        self._storages = self._open()
        self.topics = self._find_topics()

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for reader in self._readers:
            reader.close()

    def messages(self, names: Collection[str]) -> Iterator[tuple[str, int, bytes]]:
        """Topic, time of recording in nanoseconds and CDR data, in the order of time."""
        for storage in self._storages:
            for topic, stamp_ns, data in self._stored_messages(storage, names):
                yield topic, stamp_ns, zstd.decompress(data) if self._unpack_messages else data

    def count(self, names: Collection[str]) -> int:
        """How many messages these topics have."""
        return sum(topic.count for topic in self.topics.values() if topic.name in names)

    def _stored_messages(
        self, storage: Any, names: Collection[str]
    ) -> Iterator[tuple[str, int, bytes]]:
        """Those of one file. When rosbags gives up in the middle, what comes after is salvaged."""
        wanted = [c for c in storage.connections if c.topic in names]
        missing, reason = sum(c.msgcount for c in wanted), ""
        last_ns, at_last = 0, Counter[str]()
        try:
            for connection, stamp_ns, data in storage.messages(wanted):
                at_last = Counter() if stamp_ns != last_ns else at_last
                at_last[connection.topic] += 1
                missing, last_ns = missing - 1, stamp_ns
                yield connection.topic, stamp_ns, data
        except Exception as error:  # rosbags lets those of its parsers through
            reason = str(error)
            rest = _SALVAGED[storage.path.suffix](storage.path)
            again = [c for c in rest.connections if c.topic in names]
            for connection, stamp_ns, data in rest.messages(again, start=last_ns):
                if stamp_ns == last_ns and at_last[connection.topic]:
                    at_last[connection.topic] -= 1  # has been given already
                    continue
                missing -= 1
                yield connection.topic, stamp_ns, data
        if missing or reason:
            why = f" ({reason})" if reason else ""
            self.lost.append(f"{storage.path.name}: damaged{why}: {missing} messages are lost")

    def _open(self) -> list[Any]:
        """rosbags' storages, one for each file."""
        if not self.path.exists():
            raise BagError(f"{self.path}: expected a ROS 2 bag, there is no such file or folder")
        try:
            reader = self._opened(self.path)
        except Exception as error:  # rosbags lets those of its parsers through
            files = self._files()
            storages = [s for s in map(self._open_file, files) if s is not None]
            if not storages:
                raise BagError(
                    f"{self.path}: expected a ROS 2 bag (a folder with metadata.yaml, an .mcap or "
                    f"a .db3 file), got '{error}'"
                ) from error
            if self.path.is_dir():
                self.lost.append(f"{len(files)} files are read one by one ({error})")
            return storages
        if not self.path.is_dir():
            return [reader.storage]
        self._unpack_messages = reader.compression_mode == "message"
        folder: Any = reader.storage
        return list(folder.storages)

    def _open_file(self, path: Path) -> Any:
        """The storage of one file, or None when nothing of it can be read."""
        try:
            return self._opened(path).storage
        except Exception as error:  # rosbags lets those of its parsers through
            reason = error
        try:
            salvaged = _SALVAGED[path.suffix](path)
        except (KeyError, ValueError):
            self.lost.append(f"{path.name}: nothing can be read ({reason})")
            return None
        self.lost.append(f"{path.name}: damaged ({reason}): {salvaged.summary}")
        return salvaged

    def _opened(self, path: Path) -> Reader:
        reader = Reader(path)
        reader.open()
        self._readers.append(reader)
        return reader

    def _files(self) -> list[Path]:
        """The files that hold messages, in the order in which they were recorded."""
        if not self.path.is_dir():
            return [self.path]
        found = [p for p in self.path.iterdir() if p.suffix in _SALVAGED]
        return sorted(found, key=lambda p: [int(n) for n in re.findall(r"\d+", p.stem)][-1:])

    def _find_topics(self) -> dict[str, Topic]:
        connections: list[Connection] = [c for s in self._storages for c in s.connections]
        counts = Counter[str]()
        for connection in connections:
            counts[connection.topic] += connection.msgcount
        return {c.topic: Topic(c.topic, c.msgtype, c.msgdef, counts[c.topic]) for c in connections}
