# SPDX-License-Identifier: Apache-2.0
"""An MCAP file that ROS tools and Foxglove open. The ``mcap`` package writes it.

rosbags could, but keeps one definition for each type name and not what publishers offered: what
is copied from a bag has to stay as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcap.writer import Writer
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

from headpose_core import __version__
from headpose_core.bags.storage import Topic
from headpose_core.bags.type_store import Messages
from headpose_core.errors import BagError
from headpose_core.output_files import atomic_write

_ENCODINGS = {
    MessageDefinitionFormat.MSG: "ros2msg",
    MessageDefinitionFormat.IDL: "ros2idl",
    MessageDefinitionFormat.NONE: "",
}


class BagWriter:
    """The inside of ``write_bag``."""

    def __init__(self, writer: Writer, messages: Messages) -> None:
        self._writer, self._messages = writer, messages
        self._channels: dict[str, int] = {}  # by topic
        self._schemas: dict[tuple[str, MessageDefinition], int] = {}
        self._stamps_ns = 0, 0  # first and last
        self._count = 0

    def announce(self, topic: Topic) -> None:
        """The topic is in the file from now on, as the first says who announces it."""
        if topic.name in self._channels:
            return
        schema = topic.type_name, topic.definition
        if schema not in self._schemas:
            encoding, text = _ENCODINGS[topic.definition.format], topic.definition.data.encode()
            self._schemas[schema] = self._writer.register_schema(schema[0], encoding, text)
        self._channels[topic.name] = self._writer.register_channel(
            topic.name, topic.serialization, self._schemas[schema], topic.metadata
        )

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Append a message that ``Messages.make`` built."""
        if topic not in self._channels:
            self.announce(self._messages.topic(topic, message.__msgtype__))
        self.copy(topic, self._messages.serialize(message), stamp_ns)

    def copy(self, topic: str, data: bytes, stamp_ns: int) -> None:
        """Append a serialised message of a topic that was announced."""
        stamp_ns = max(stamp_ns, 0)  # MCAP has no words for times before 1970
        self._writer.add_message(self._channels[topic], stamp_ns, data, stamp_ns)
        first, last = self._stamps_ns if self._count else (stamp_ns, stamp_ns)
        self._stamps_ns = min(first, stamp_ns), max(last, stamp_ns)
        self._count += 1

    def finish(self, name: str) -> None:
        """Write the index, and what rosbag2 wants to know of a file of this name."""
        start, end = self._stamps_ns
        about = {
            "starting_time": {"nanoseconds_since_epoch": start},
            "duration": {"nanoseconds": end - start},
            "message_count": self._count,
        }
        metadata = {
            "version": 8,  # of the notation that ``storage.same_notation`` makes
            "storage_identifier": "mcap",
            "relative_file_paths": [name],
            "topics_with_message_count": [],  # it takes them from the channels
            "compression_format": "",
            "compression_mode": "",
            "files": [{"path": name, **about}],
            "custom_data": {},
            "ros_distro": "",
            **about,
        }
        # rosbag2 reads YAML, and JSON is YAML.
        self._writer.add_metadata("rosbag2", {"serialized_metadata": json.dumps(metadata)})
        self._writer.finish()


@contextmanager
def write_bag(path: Path, messages: Messages) -> Iterator[BagWriter]:
    """An MCAP file for what is written in the block; it appears whole when the block ends.

    Raises BagError when the name does not end in .mcap, OSError when it cannot be written.
    """
    if path.suffix != ".mcap":
        raise BagError(f"{path}: expected the name of an .mcap file")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished, unfinished.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2", library=f"headpose {__version__}")
        bag = BagWriter(writer, messages)
        yield bag
        bag.finish(path.name.encode(errors="replace").decode())
