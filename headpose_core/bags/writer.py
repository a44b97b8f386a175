# SPDX-License-Identifier: Apache-2.0
"""An MCAP file that ROS tools and Foxglove open."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from headpose_core.bags.storage import Topic
from headpose_core.bags.type_store import Messages
from headpose_core.errors import BagError
from headpose_core.output_files import atomic_write


class BagWriter:
    """The inside of ``write_bag``."""

    def __init__(self, writer: Writer, messages: Messages) -> None:
        self._writer, self._messages = writer, messages
        self._connections: dict[str, Connection] = {}

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Append a message that ``Messages.make`` built."""
        type_name = message.__msgtype__
        self._write(topic, type_name, self._messages.serialize(message), stamp_ns)

    def announce(self, topic: str, type_name: str) -> None:
        """The topic is in the file from now on, also when no message comes."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, type_name, typestore=self._messages.store
            )

    def can_copy(self, topic: Topic) -> bool:
        """Whether the type of a topic is known, and the same as what is written under its name."""
        try:
            known = self._messages.register(topic.type_name, topic.definition)
        except Exception:  # rosbags' parser; without a definition nobody could read the copy
            return False
        mine = self._connections.get(topic.name)
        return known and (mine is None or mine.msgtype == topic.type_name)

    def copy(self, topic: Topic, data: bytes, stamp_ns: int) -> None:
        """Append a message as it is; ``can_copy`` was asked before."""
        self._write(topic.name, topic.type_name, data, stamp_ns)

    def _write(self, topic: str, type_name: str, data: bytes, stamp_ns: int) -> None:
        self.announce(topic, type_name)
        self._writer.write(self._connections[topic], stamp_ns, data)


@contextmanager
def write_bag(path: Path, messages: Messages) -> Iterator[BagWriter]:
    """An MCAP file for what is written in the block; it appears whole when the block ends.

    Raises BagError when the name does not end in .mcap, OSError when it cannot be written.
    """
    if path.suffix != ".mcap":
        raise BagError(f"{path}: expected the name of an .mcap file")
    path.parent.mkdir(parents=True, exist_ok=True)
    # rosbags writes a folder; the file in it is complete by itself.
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent) as folder:
        bag = Path(folder, path.stem)
        writer = Writer(bag, version=8, storage_plugin=StoragePlugin.MCAP)
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with writer:
            yield BagWriter(writer, messages)
        with atomic_write(path) as unfinished:
            shutil.move(bag / f"{path.stem}.mcap", unfinished)
