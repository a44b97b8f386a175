# SPDX-License-Identifier: Apache-2.0
"""The same images through the node over DDS and through `headpose bag`: the same messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("rosbags", reason="needs rosbags")

from ament_index_python.packages import get_package_share_directory
from headpose_ros.msg import HeadPoseArray
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer

from headpose_core.bags.reader import Bag
from headpose_core.bags.type_store import Messages
from headpose_core.commands.cli import main
from headpose_core.geometry.rotation import matrix_from_angles, rep103_angles
from headpose_core.images.video import VideoReader
from tests.ros.graph import NodeProcess, Probe, camera_info, image_message

COUNT = 25


def numbers(message: Any) -> Iterator[float]:
    """All numbers in a ROS message, in their order."""
    if isinstance(message, (bool, int, float, np.number)):
        yield float(message)
    elif isinstance(message, (list, tuple, np.ndarray)):
        for item in message:
            yield from numbers(item)
    elif hasattr(message, "get_fields_and_field_types"):
        for name in message.get_fields_and_field_types():
            yield from numbers(getattr(message, name))


def write_bag(path: Path, by_topic: dict[str, list[Any]]) -> None:
    """ROS's own messages with their header's stamps, as ROS serialises them."""
    store = Messages().store
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, messages in by_topic.items():
            kind = f"sensor_msgs/msg/{type(messages[0]).__name__}"
            connection = writer.add_connection(topic, kind, typestore=store)
            for message in messages:
                stamp = message.header.stamp
                data = serialize_message(message)
                writer.write(connection, stamp.sec * 10**9 + stamp.nanosec, data)


def read_bag(path: Path) -> list[HeadPoseArray]:
    """The poses, as ROS itself understands their bytes."""
    with Bag(path) as bag:
        found = bag.messages(["/head_pose"])
        return [deserialize_message(data, HeadPoseArray) for _, _, data in found]


@pytest.mark.parametrize("name", ["HeadPose", "HeadPoseArray"])
def test_types_are_the_same_to_ros(name: str) -> None:
    """By their hash a reader knows whether it understands what a bag holds."""
    share = Path(get_package_share_directory("headpose_ros"))
    description = json.loads((share / "msg" / f"{name}.json").read_text())
    hashes = {entry["type_name"]: entry["hash_string"] for entry in description["type_hashes"]}
    full = f"headpose_ros/msg/{name}"
    assert Messages().store.hash_rihs01(full) == hashes[full]


def test_node_and_bag_say_the_same(
    start: Callable[..., NodeProcess],
    probe: Probe,
    car_video: Path,
    tiny_model_file: Path,
    tmp_path: Path,
) -> None:
    images = [image for _, image in islice(VideoReader(car_video), COUNT)]
    images[10:13] = [np.zeros_like(images[0])] * 3  # the face is lost for a while
    sent = [image_message(image[..., ::-1], number) for number, image in enumerate(images)]
    for message in sent:
        message.encoding = "bgr8"
    info = camera_info(193, 144, 150.0)
    start(probe.namespace)
    probe.until_ready()
    probe.calibrate(info)
    live = [probe.ask(message) for message in sent]

    info.header.stamp = sent[0].header.stamp
    write_bag(tmp_path / "drive", {"/image": sent, "/camera_info": [info]})
    out = tmp_path / "out.mcap"
    arguments = ["bag", str(tmp_path / "drive"), "--out", str(out), "--quiet"]
    assert main([*arguments, "--model", str(tiny_model_file)]) == 0
    offline = read_bag(out)

    assert [a.header for a in offline] == [a.header for a in live]
    ids = [[head.face_id for head in a.heads] for a in live]
    assert ids == [[head.face_id for head in a.heads] for a in offline]
    assert sum(map(len, ids)) == COUNT - 3
    for ours, theirs in zip(offline, live, strict=True):
        np.testing.assert_allclose(
            list(numbers(ours.heads)), list(numbers(theirs.heads)), rtol=0, atol=1e-6
        )
    # The filter had something to do: what is sent is not what the network said.
    last = live[-1].heads[0]
    unfiltered = rep103_angles(matrix_from_angles(np.array(last.paper_angles)))
    assert np.abs(unfiltered - (last.yaw, last.pitch, last.roll)).max() > 1e-3
