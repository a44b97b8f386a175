# SPDX-License-Identifier: Apache-2.0
"""ROS messages without ROS: built, written and read by the type store of rosbags."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Nodetype
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from headpose_core.bags.storage import QOS, TYPE_HASH, Topic

_PACKAGE = Path(__file__).resolve().parents[1]
# In an installed package beside the code, in the repository beside the package.
_DEFINITIONS = next(p for p in (_PACKAGE / "msg", _PACKAGE.parent / "msg") if p.is_dir())
# Whose types differ from those of Jazzy, the newest first.
_OLDER = (Stores.ROS2_HUMBLE, Stores.ROS2_GALACTIC, Stores.ROS2_FOXY, Stores.ROS2_DASHING)


class Messages:
    """The messages of ROS 2 and of headpose_ros, by names such as "geometry_msgs/msg/Point".

    store: rosbags' own, which a bag writer wants.
    """

    def __init__(self) -> None:
        self.store = get_typestore(Stores.ROS2_JAZZY)
        for path in sorted(_DEFINITIONS.glob("*.msg")):
            name = f"headpose_ros/msg/{path.stem}"
            self.store.register(get_types_from_msg(path.read_text(), name))

    def make(self, type_name: str, /, **fields: Any) -> Any:
        """A message with these fields; the others have ROS's defaults: zero, empty, false."""
        known = dict(self.store.fielddefs[type_name][1])
        if unknown := fields.keys() - known.keys():
            raise TypeError(f"{type_name} has no fields {sorted(unknown)}")
        values = {
            name: self._value(form, fields[name]) if name in fields else self._default(form)
            for name, form in known.items()
        }
        return self.store.types[type_name](**values)

    def serialize(self, message: Any) -> bytes:
        """CDR, as it lies in a bag."""
        return bytes(self.store.serialize_cdr(message, message.__msgtype__))

    def deserialize(self, data: bytes, type_name: str) -> Any:
        """Raises rosbags' SerdeError when the bytes are no such message."""
        return self.store.deserialize_cdr(data, type_name)

    def topic(self, name: str, type_name: str) -> Topic:
        """A topic for messages that are made here. KeyError: a type that is not known."""
        return _topic(self.store, name, type_name)

    def defined(self, topic: Topic, samples: Collection[bytes]) -> Topic:
        """A topic of a bag without definitions, with that of a ROS 2 whose messages these are.

        They are from ROS 2 Humble or older, or somebody's own. Types change between
        distributions: so the first one counts that can read the messages. When none can, the
        topic stays as it is.
        """
        for store in (self.store, *map(get_typestore, _OLDER)):
            try:
                for data in samples:
                    store.deserialize_cdr(data, topic.type_name)
                found = _topic(store, topic.name, topic.type_name)
            except (SerdeError, KeyError):
                continue
            return replace(
                topic, definition=found.definition, metadata=found.metadata | topic.metadata
            )
        return topic

    def _value(self, form: Any, value: Any) -> Any:
        kind, detail = form
        is_list = kind in (Nodetype.ARRAY, Nodetype.SEQUENCE)
        return np.asarray(value, _dtype(detail[0])) if is_list and _dtype(detail[0]) else value

    def _default(self, form: Any) -> Any:
        kind, detail = form
        if kind == Nodetype.NAME:
            return self.make(detail)
        if kind == Nodetype.BASE:
            return "" if detail[0] == "string" else _dtype(form)(0).item()
        element, length = detail
        length = length if kind == Nodetype.ARRAY else 0
        if dtype := _dtype(element):
            return np.zeros(length, dtype)
        return [self._default(element) for _ in range(length)]


def _dtype(form: Any) -> Any:
    """The NumPy type of a plain number, None for all else."""
    kind, detail = form
    if kind != Nodetype.BASE or detail[0] == "string":
        return None
    names = {"bool": "bool_", "byte": "uint8", "char": "uint8"}
    return getattr(np, names.get(detail[0], detail[0]))


def _topic(store: Typestore, name: str, type_name: str) -> Topic:
    if type_name not in store.fielddefs:
        raise KeyError(type_name)
    text, _ = store.generate_msgdef(type_name, ros_version=2)
    metadata = {QOS: "", TYPE_HASH: store.hash_rihs01(type_name)}
    definition = MessageDefinition(MessageDefinitionFormat.MSG, text)
    return Topic(name, type_name, definition, 0, metadata=metadata)
