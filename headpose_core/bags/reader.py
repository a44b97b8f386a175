# SPDX-License-Identifier: Apache-2.0
"""ROS 2 bags, folders or single files, SQLite or MCAP, compressed or not; damaged ones as well."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from headpose_core.bags.indexed_storage import open_storage
from headpose_core.bags.storage import MOST_BYTES, NO_DEFINITION, Storage, Topic
from headpose_core.bags.storage_files import made_readable, storage_files
from headpose_core.errors import BagError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# How a message begins that its recorder compressed. No other one does: CDR begins with a zero.
_ZSTD = b"\x28\xb5\x2f\xfd"


class Bag:
    """A recording, opened for reading; to be used with ``with``.

    topics: by name. Raises BagError when nothing in it can be read at all, OSError when there is
    no room to unpack it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._notes: list[str] = []
        self._storages: dict[str, Storage] = {}
        self._still_packed = Counter[str]()
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        self.topics = self._find_topics()

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def lost(self) -> list[str]:
        """What could not be read, as sentences; complete after reading."""
        damaged = [f"{name}: {s.lost}" for name, s in self._storages.items() if s.lost]
        packed = [
            f"{count} messages of {topic} are lost: they cannot be decompressed"
            for topic, count in self._still_packed.items()
        ]
        return [*self._notes, *damaged, *packed]

    def messages(self, names: Collection[str]) -> Iterator[tuple[str, int, bytes]]:
        """Topic, time of recording in nanoseconds and CDR data, in the order of time."""
        self._still_packed.clear()
        for storage in self._storages.values():
            channels = {
                number: topic.name
                for number, topic in storage.topics.items()
                if topic.name in names and _is_same(topic, self.topics[topic.name])
            }
            for channel, stamp_ns, stored in storage.messages(channels):
                data = _decompressed(stored) if stored.startswith(_ZSTD) else stored
                if data:
                    yield channels[channel], stamp_ns, data
                else:
                    self._still_packed[channels[channel]] += 1

    def count(self, names: Collection[str]) -> int:
        """How many messages these topics have."""
        return sum(topic.count for topic in self.topics.values() if topic.name in names)

    def _open(self) -> None:
        if not self.path.exists():
            raise BagError(f"{self.path}: expected a ROS 2 bag, there is no such file or folder")
        files, self._notes = storage_files(self.path)
        reason = "no such file"
        for file in files:
            missing = ""
            try:
                readable, missing = made_readable(file, self._folder)
                storage = open_storage(readable)
            except (ValueError, PermissionError) as error:
                reason = missing or str(error)
                self._notes.append(f"{file.name}: nothing can be read ({reason})")
                continue
            self._stack.callback(storage.close)
            self._storages[file.name] = storage
            self._notes += [f"{file.name}: {missing}"] if missing else []
        if not self._storages:
            raise BagError(
                f"{self.path}: expected a ROS 2 bag (a folder with metadata.yaml, an .mcap or a "
                f".db3 file), got '{reason}'"
            )

    def _folder(self) -> Path:
        """For copies of files that cannot be read where they are."""
        return Path(self._stack.enter_context(TemporaryDirectory()))

    def _find_topics(self) -> dict[str, Topic]:
        topics: dict[str, Topic] = {}
        for topic in (t for s in self._storages.values() for t in s.topics.values()):
            known = topics.get(topic.name)
            if known is None or not known.count:
                topics[topic.name] = topic
            elif _is_same(topic, known):
                definition = topic.definition if known.definition == NO_DEFINITION else None
                count = known.count + topic.count
                topics[topic.name] = replace(
                    known, count=count, definition=definition or known.definition
                )
            elif topic.count:
                self._notes.append(
                    f"{topic.count} messages of {topic.name} are left out: they are "
                    f"{topic.type_name}, others there {known.type_name} or of another definition"
                )
        return topics


def _is_same(topic: Topic, known: Topic) -> bool:
    """Whether messages have the type of those that are known; a damaged file does not say it."""
    definitions = {topic.definition, known.definition} - {NO_DEFINITION}
    return topic.type_name in ("", known.type_name) and len(definitions) < 2


def _decompressed(data: bytes) -> bytes:
    """Empty when it is damaged, or when a few bytes ask for gigabytes."""
    decompressor = zstd.ZstdDecompressor()
    try:
        found = decompressor.decompress(data, MOST_BYTES)
    except zstd.ZstdError:
        return b""
    return found if decompressor.eof else b""
