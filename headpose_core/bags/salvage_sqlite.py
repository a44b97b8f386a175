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
from typing import Any, NamedTuple

from rosbags.interfaces import MessageDefinition

from headpose_core.bags.storage import (
    NO_DEFINITION,
    QOS,
    StoredMessage,
    Topic,
    definition,
    same_notation,
)

# A damaged page hides the rows on it; the next ones are tried until so many in a row are missing.
_GIVE_UP_AFTER = 2000
_LARGEST = (1 << 63) - 1  # number of a row
_MOST_LOST = 1000  # times what is left; more is a damaged header


class _Row(NamedTuple):
    stamp_ns: int
    number: int
    topic: int


class SalvagedSqlite:
    """A ``Storage`` of the readable messages of a .db3 file.

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
        self._rows = sorted(self._scan())
        counts = Counter(row.topic for row in self._rows)
        definitions, qos = self._definitions(), dict(self._all(f"SELECT id, {QOS} FROM topics"))
        qos = {number: text for number, text in qos.items() if isinstance(text, str)}
        self.topics = {
            number: Topic(
                name,
                type_name,
                definitions.get(type_name, NO_DEFINITION),
                counts[number],
                serialization,
                same_notation({QOS: qos.get(number, "")}),
            )
            for number, name, type_name, serialization in rows
            if all(isinstance(text, str) for text in (name, type_name, serialization))
        }
        self.lost = f"{len(self._rows)} messages can be read, what follows them cannot"

    def messages(self, channels: Collection[int], start_ns: int = 0) -> Iterator[StoredMessage]:
        """The messages of these channels from ``start_ns`` on, in the order of time."""
        query = "SELECT data FROM messages WHERE id = ?"
        for stamp_ns, number, topic in self._rows:
            if topic in channels and stamp_ns >= start_ns:
                for (data,) in self._all(query, number):
                    yield StoredMessage(topic, stamp_ns, data)

    def close(self) -> None:
        """Nothing can be read any more."""
        self._database.close()

    def _scan(self) -> Iterator[_Row]:
        query = "SELECT id, topic_id, timestamp, data FROM messages WHERE id > ? ORDER BY id"
        last = missed = 0
        while missed < _GIVE_UP_AFTER and last < _LARGEST:
            try:
                for number, topic, stamp_ns, data in self._database.execute(query, (last,)):
                    if number <= last:
                        break  # damaged pages can point at each other for ever
                    last, missed = number, 0
                    if isinstance(stamp_ns, int) and isinstance(data, bytes):
                        yield _Row(stamp_ns, number, topic)
                else:
                    return
            except sqlite3.Error:  # a row that is damaged
                pass
            last, missed = last + 1, missed + 1

    def _definitions(self) -> dict[str, MessageDefinition]:
        """By type; recorders before ROS 2 Iron wrote none."""
        query = "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
        return {
            name: definition(encoding, text.encode())
            for name, encoding, text in self._all(query)
            if isinstance(text, str)
        }

    def _all(self, query: str, *values: int) -> list[tuple[Any, ...]]:
        """The rows, or none when they cannot be read."""
        try:
            return list(self._database.execute(query, values))
        except sqlite3.Error:
            return []

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
