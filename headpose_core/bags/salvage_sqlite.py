# SPDX-License-Identifier: Apache-2.0
"""What is left of a damaged SQLite bag: rows by their number, past the pages that are broken."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)

# A damaged page hides the rows on it; the next ones are tried until so many in a row are missing.
_GIVE_UP_AFTER = 2000
_MOST_LOST = 1000  # times what is left; more is a damaged header
_NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, "")


class SalvagedSqlite:
    """The readable messages of a .db3 file, with the interface of rosbags' storages.

    connections: the topics. summary: what was lost, as far as can be told.
    Raises ValueError when not even the list of topics can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        whole = self._whole(path)
        try:
            self._database = sqlite3.connect(f"{whole.resolve().as_uri()}?immutable=1", uri=True)
            query = "SELECT id, name, type, serialization_format FROM topics"
            rows = list(self._database.execute(query))
        except sqlite3.Error as error:
            raise ValueError(f"{path}: expected a SQLite bag, got '{error}'") from error
        topics = [row for row in rows if all(isinstance(text, str) for text in row[1:])]
        counts: Counter[int] = Counter()
        for number, _, _ in self._scan():
            counts[number] += 1
        self.connections = [
            Connection(
                number,
                topic,
                type_name,
                _NO_DEFINITION,
                "",
                counts[number],
                ConnectionExtRosbag2(serialization, []),
                self,
            )
            for number, topic, type_name, serialization in topics
        ]
        self.summary = f"{sum(counts.values())} messages can be read, what follows them cannot"

    def messages(
        self, connections: Collection[Connection], start: int | None = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Connection, time in nanoseconds and data, in the order of the file."""
        wanted = {connection.id: connection for connection in connections}
        for topic, stamp_ns, data in self._scan():
            if topic in wanted and (start is None or stamp_ns >= start):
                yield wanted[topic], stamp_ns, data

    def _scan(self) -> Iterator[tuple[int, int, bytes]]:
        query = "SELECT id, topic_id, timestamp, data FROM messages WHERE id > ? ORDER BY id"
        last = missed = 0
        while missed < _GIVE_UP_AFTER:
            try:
                for row, topic, stamp_ns, data in self._database.execute(query, (last,)):
                    last, missed = row, 0
                    if isinstance(stamp_ns, int) and isinstance(data, bytes):
                        yield topic, stamp_ns, data
            except sqlite3.Error:  # noqa: PERF203 (a row that is damaged)
                last, missed = last + 1, missed + 1
            else:
                return

    def _whole(self, path: Path) -> Path:
        """The file, or a copy as long as its header says: SQLite refuses what was cut off."""
        with path.open("rb") as file:
            header = file.read(32)
        if not header.startswith(b"SQLite format 3\0") or len(header) < 32:
            raise ValueError(f"{path}: expected a SQLite bag, its first bytes are others")
        page_size, pages = struct.unpack_from(">H10xI", header, 16)
        size = (65536 if page_size == 1 else page_size) * pages
        if path.stat().st_size >= size:
            return path
        if path.stat().st_size * _MOST_LOST < size:
            raise ValueError(f"{path}: expected a file of {size} bytes, as its header says")
        self._folder = tempfile.TemporaryDirectory()  # goes with this object
        copy = Path(self._folder.name, path.name)
        shutil.copyfile(path, copy)
        os.truncate(copy, size)
        return copy
