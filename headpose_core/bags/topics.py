# SPDX-License-Identifier: Apache-2.0
"""Which topic of a bag has the images, which one their calibration, and which ones are copied."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from headpose_core.bags.reader import Bag
from headpose_core.bags.storage import NO_DEFINITION, Topic
from headpose_core.bags.type_store import Messages
from headpose_core.errors import BagError

RAW_IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
_SAMPLES = 20  # messages that tell a type without definition; the first ones may be empty


def find_images(bag: Bag, name: str | None) -> Topic:
    """The topic of this name, or the only one with images.

    Raises BagError, with a list of the candidates, when that is not clear.
    """
    found = [t for t in bag.topics.values() if t.type_name in (RAW_IMAGE, COMPRESSED_IMAGE)]
    chosen = [t for t in found if t.name == name] if name else [t for t in found if t.count]
    if len(chosen) == 1:
        return chosen[0]
    listing = "".join(f"\n  {t.name} ({t.type_name}, {t.count} messages)" for t in found)
    if not found:
        others = ", ".join(f"{t.name} ({t.type_name})" for t in bag.topics.values())
        raise BagError(f"{bag.path}: expected a topic with images, got {others or 'no topics'}")
    if name:
        raise BagError(f"{bag.path}: no images on {name}, there are some on{listing}")
    raise BagError(f"{bag.path}: say which images with --image-topic, there are{listing}")


def find_camera_info(bag: Bag, name: str | None, images: Topic) -> str:
    """The topic of this name, or the calibration beside the images, or the only one; "" if none.

    Raises BagError when there is none of this name.
    """
    found = [t.name for t in bag.topics.values() if t.type_name == CAMERA_INFO and t.count]
    if name:
        if name in found:
            return name
        listing = ", ".join(found) or "none"
        raise BagError(f"{bag.path}: no camera_info on {name}, there is {listing}")
    folders = images.name.split("/")[:-1]
    while folders:
        beside = "/".join([*folders, "camera_info"])
        if beside in found:
            return beside
        folders.pop()
    return found[0] if len(found) == 1 else ""


def find_copied(
    bag: Bag, messages: Messages, ours: Mapping[str, str], anew: set[str]
) -> tuple[dict[str, Topic], list[str]]:
    """The topics of a bag that a copy takes along, by name, and what is to be said of others.

    ours: topics that are written to the copy, and their types. anew: those of them whose messages
    in the bag stay behind.
    """
    copied: dict[str, Topic] = {}
    notes = []
    for topic in bag.topics.values():
        if topic.name in anew:
            notes.append(f"{topic.name} is not copied: it is written anew")
        elif topic.type_name != ours.get(topic.name, topic.type_name):
            notes.append(f"{topic.name} is not copied: its type is {topic.type_name}")
        else:
            copied[topic.name] = topic
            if topic.definition == NO_DEFINITION:
                samples = [data for *_, data in islice(bag.messages([topic.name]), _SAMPLES)]
                copied[topic.name] = messages.defined(topic, samples)
                if copied[topic.name].definition == NO_DEFINITION:
                    missing = f"the bag has no definition of {topic.type_name}"
                    notes.append(f"{topic.name} is copied without a definition: {missing}")
    return copied, notes
