# SPDX-License-Identifier: Apache-2.0
"""Small recordings of a driver for the tests, as rosbags writes them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from headpose_core.bags.reader import Bag
from headpose_core.bags.type_store import Messages
from headpose_core.images.video import VideoReader

START_NS = 1_700_000_000_000_000_000
IMAGES, CAMERA_INFO = "/camera/image_raw", "/camera/camera_info"


def pictures(video: Path, count: int) -> list[np.ndarray]:
    return [image for _, image in islice(VideoReader(video), count)]


def header(messages: Messages, number: int, frame_id: str = "camera_optical_frame") -> Any:
    """Of the `number`-th image at 30 Hz."""
    sec, nanosec = divmod(START_NS + round(number * 1e9 / 30), 10**9)
    stamp = messages.make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return messages.make("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)


def image_messages(messages: Messages, number: int, image: np.ndarray, jpeg: bool) -> dict:
    """By topic: an image, its calibration, and something else."""
    height, width = image.shape[:2]
    top = header(messages, number)
    if jpeg:
        data = cv2.imencode(".png", image[..., ::-1])[1].ravel()
        picture = messages.make(
            "sensor_msgs/msg/CompressedImage", header=top, format="png", data=data
        )
    else:
        picture = messages.make(
            "sensor_msgs/msg/Image",
            header=top,
            height=height,
            width=width,
            encoding="rgb8",
            step=3 * width,
            data=image.ravel(),
        )
    k = [150.0, 0.0, width / 2, 0.0, 150.0, height / 2, 0.0, 0.0, 1.0]
    info = messages.make(
        "sensor_msgs/msg/CameraInfo", header=top, width=width, height=height, k=k, d=[0.0] * 5
    )
    text = messages.make("std_msgs/msg/String", data=f"image {number}")
    # The calibration comes after its image, as it may in a recording.
    return {IMAGES + "/compressed" * jpeg: picture, CAMERA_INFO: info, "/notes": text}


def write_recording(
    path: Path,
    images: list[np.ndarray],
    *,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    jpeg: bool = False,
    first: int = 0,
) -> Path:
    """A bag of these images, the ``first``-th and on: a folder with metadata.yaml and one file."""
    messages = Messages()
    writer = Writer(path, version=8, storage_plugin=storage)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for number, image in enumerate(images, first):
            stamp = START_NS + round(number * 1e9 / 30) + 5_000_000  # on the way for 5 ms
            for topic, message in image_messages(messages, number, image, jpeg).items():
                if topic not in connections:
                    connections[topic] = writer.add_connection(
                        topic, message.__msgtype__, typestore=messages.store
                    )
                writer.write(connections[topic], stamp, messages.serialize(message))
    return path


def read_all(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """Every message of a bag with its time of recording, by topic; types by their definitions."""
    found: dict[str, list[tuple[int, Any]]] = {}
    store = get_typestore(Stores.EMPTY)
    with Bag(path) as bag:
        assert not bag.lost
        for topic in bag.topics.values():
            types = get_types_from_msg(topic.definition.data, topic.type_name)
            store.register({n: t for n, t in types.items() if n not in store.fielddefs})
            found[topic.name] = [
                (stamp, store.deserialize_cdr(data, topic.type_name))
                for _, stamp, data in bag.messages([topic.name])
            ]
    return found
