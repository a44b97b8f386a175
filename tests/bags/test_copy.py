# SPDX-License-Identifier: Apache-2.0
"""`headpose bag --copy`: what was recorded stays what it was, whoever recorded it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: pip install 'headpose-ehpnet[bags]'")

from mcap.reader import make_reader
from rosbags.interfaces import (
    Nodetype,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from headpose_core.commands.cli import main
from tests.bag_files import START_NS, pictures

FOREVER = QosTime(2147483647, 4294967295)
STORAGES = {".mcap": StoragePlugin.MCAP, ".db3": StoragePlugin.SQLITE3}
DISTROS = [Stores.ROS2_FOXY, Stores.ROS2_HUMBLE, Stores.ROS2_JAZZY, Stores.ROS2_LYRICAL]
RIG = "uint8 GOOD=3\nstring name\nfloat64[<=4] angles\nbuiltin_interfaces/Time since\n"


def quality(depth: int, durability: QosDurability) -> Qos:
    reliable, automatic = QosReliability.RELIABLE, QosLiveliness.AUTOMATIC
    first = (QosHistory.KEEP_LAST, depth, reliable, durability, FOREVER, FOREVER)
    return Qos(*first, automatic, FOREVER, False)


QUALITY = {
    "/tf_static": quality(1, QosDurability.TRANSIENT_LOCAL),
    "/tf": quality(77, QosDurability.VOLATILE),
}


class Robot:
    """Messages as a distribution of ROS 2 has them, with the default values of their fields."""

    def __init__(self, distro: Stores) -> None:
        self.store = get_typestore(distro)
        self.store.register(get_types_from_msg(RIG, "lab/msg/Rig"))

    def make(self, kind: str, **fields: Any) -> Any:
        values: dict[str, Any] = {}
        for name, (form, detail) in self.store.fielddefs[kind][1]:
            if form == Nodetype.NAME:
                values[name] = self.make(detail)
            elif form == Nodetype.BASE:
                values[name] = "" if detail[0] == "string" else 0
            else:
                (inner, element), length = detail
                numbers = inner == Nodetype.BASE and element[0] in ("uint8", "float32", "float64")
                length = length if form == Nodetype.ARRAY else 0
                values[name] = np.zeros(length, element[0]) if numbers else []
        return self.store.types[kind](**(values | fields))

    def messages(self, image: np.ndarray) -> dict[str, Any]:
        """By topic: types that are others from distribution to distribution, and more."""
        height, width = image.shape[:2]
        layout = {"height": height, "width": width, "step": 3 * width, "encoding": "rgb8"}
        marker = self.make("visualization_msgs/msg/Marker", ns="wall", text="door", id=7)
        frame = self.make("geometry_msgs/msg/TransformStamped", child_frame_id="camera")
        return {
            "/image_raw": self.make("sensor_msgs/msg/Image", data=image.ravel(), **layout),
            "/sonar": self.make("sensor_msgs/msg/Range", range=1.25),
            "/map": self.make("visualization_msgs/msg/MarkerArray", markers=[marker]),
            "/no_map": self.make("visualization_msgs/msg/MarkerArray", markers=[]),
            "/rig": self.make("lab/msg/Rig", name="left", angles=np.array([0.5, 2.0])),
            "/tf_static": self.make("tf2_msgs/msg/TFMessage", transforms=[frame]),
            "/tf": self.make("tf2_msgs/msg/TFMessage", transforms=[frame, frame]),
        }

    def record(self, path: Path, sent: dict[str, Any], ending: str, version: Any = 8) -> Path:
        """Three of each message."""
        with Writer(path, version=version, storage_plugin=STORAGES[ending]) as writer:
            for topic, message in sent.items():
                offered = [QUALITY[topic]] if topic in QUALITY else []
                connection = writer.add_connection(
                    topic, message.__msgtype__, typestore=self.store, offered_qos_profiles=offered
                )
                data = self.store.serialize_cdr(message, message.__msgtype__)
                for number in range(3):
                    writer.write(connection, START_NS + number * 10**8, data)
        return path


def without_definitions(recording: Path) -> Path:
    """A SQLite bag as ROS 2 Humble writes them."""
    (file,) = recording.glob("*.db3")
    with sqlite3.connect(file) as database:
        for table in ("message_definitions", "schema", "metadata"):
            database.execute(f"DROP TABLE {table}")
        database.execute("ALTER TABLE topics DROP COLUMN type_description_hash")
    return recording


def recorded(path: Path) -> dict[str, tuple[Any, list[bytes], list[Qos]]]:
    """By topic: type and definition, messages, quality of service, as rosbags reads them."""
    with Reader(path) as reader:
        return {
            c.topic: (
                (c.msgtype, c.msgdef),
                [bytes(data) for _, _, data in reader.messages([c])],
                c.ext.offered_qos_profiles,
            )
            for c in reader.connections
        }


@pytest.fixture
def image(car_video: Path) -> np.ndarray:
    return pictures(car_video, 1)[0]


@pytest.fixture
def copy(tiny_model_file: Path, tmp_path: Path) -> Any:
    """The copy of a recording, and what was said."""

    def copy(recording: Path, capsys: Any) -> tuple[Path, str]:
        out = tmp_path / "copy.mcap"
        model = ["--model", str(tiny_model_file), "--quiet"]
        assert main(["bag", str(recording), "--out", str(out), "--copy", *model]) == 0
        return out, capsys.readouterr().err

    return copy


@pytest.mark.parametrize("ending", STORAGES)
@pytest.mark.parametrize("distro", DISTROS, ids=lambda distro: distro.value)
def test_definitions_messages_and_quality_stay(
    distro: Stores, ending: str, image: np.ndarray, copy: Any, tmp_path: Path, capsys: Any
) -> None:
    robot = Robot(distro)
    recording = robot.record(tmp_path / "robot", robot.messages(image), ending)
    before = recorded(recording)
    out, said = copy(recording, capsys)
    after = recorded(out)
    assert "copied" not in said
    assert len(after["/tf"][1]) == 3  # without a calibration there is none of ours
    for topic in before:
        assert after[topic] == before[topic], topic
    assert after["/tf_static"][2] == [QUALITY["/tf_static"]]
    assert len(after["/head_pose"][1]) == 3


@pytest.mark.parametrize("distro", DISTROS[:3], ids=lambda distro: distro.value)
def test_bags_without_definitions_get_their_own(
    distro: Stores, image: np.ndarray, copy: Any, tmp_path: Path, capsys: Any
) -> None:
    robot = Robot(distro)
    recording = without_definitions(
        robot.record(tmp_path / "robot", robot.messages(image), ".db3")
    )
    out, said = copy(recording, capsys)
    after = recorded(out)
    assert "warning: " + str(recording) in said
    assert "/rig is copied without a definition: the bag has no definition of lab/msg/Rig" in said
    assert after["/rig"][0][1].data == ""
    for topic, (_, messages, offered) in recorded(recording).items():
        (kind, definition), copied, kept = after[topic]
        assert (copied, kept) == (messages, offered)
        if topic in ("/sonar", "/map", "/image_raw"):
            for name, (_, fields) in get_types_from_msg(definition.data, kind).items():
                assert fields == robot.store.fielddefs[name][1]  # the constants do not matter


@pytest.mark.parametrize("distro", DISTROS, ids=lambda distro: distro.value)
def test_foxglove_reads_old_types_and_ours_in_one_file(
    distro: Stores, image: np.ndarray, copy: Any, tmp_path: Path, capsys: Any
) -> None:
    decoder = pytest.importorskip("mcap_ros2.decoder", reason="needs mcap-ros2-support")
    robot = Robot(distro)
    out, _ = copy(robot.record(tmp_path / "robot", robot.messages(image), ".mcap"), capsys)
    with out.open("rb") as file:
        reader = make_reader(file, decoder_factories=[decoder.DecoderFactory()])
        found = {c.topic: m for _, c, _, m in reader.iter_decoded_messages()}
    assert found["/sonar"].range == 1.25
    assert (found["/map"].markers[0].text, found["/map"].markers[0].id) == ("door", 7)
    assert list(found["/rig"].angles) == [0.5, 2.0]
    assert [head.face_id for head in found["/head_pose"].heads] == ["f1"]


def test_our_transforms_go_where_those_of_the_bag_are(
    image: np.ndarray, copy: Any, tmp_path: Path, capsys: Any
) -> None:
    robot = Robot(DISTROS[1])
    sent = robot.messages(image)
    height, width = image.shape[:2]
    K = np.array([150.0, 0.0, width / 2, 0.0, 150.0, height / 2, 0.0, 0.0, 1.0])
    size = {"width": width, "height": height}
    sent["/camera_info"] = robot.make("sensor_msgs/msg/CameraInfo", k=K, d=np.zeros(5), **size)
    sent["/image_raw"].header.frame_id = "camera"
    recording = robot.record(tmp_path / "robot", sent, ".mcap")
    out, said = copy(recording, capsys)
    with out.open("rb") as file:
        channels = make_reader(file).get_summary().channels.values()
    assert [channel.topic for channel in channels].count("/tf") == 1
    kind, messages, offered = recorded(out)["/tf"]
    assert (kind, offered) == (recorded(recording)["/tf"][0], [QUALITY["/tf"]])
    assert len(messages) == 3 + 2  # faces are confirmed by the second image
    assert "copied" not in said


def test_words_of_new_recorders_become_numbers_that_old_ones_read(
    image: np.ndarray, copy: Any, tmp_path: Path, capsys: Any
) -> None:
    robot = Robot(DISTROS[-1])
    recording = robot.record(tmp_path / "robot", robot.messages(image), ".mcap", version=9)
    assert b"transient_local" in (recording / "robot.mcap").read_bytes()
    out, _ = copy(recording, capsys)
    with out.open("rb") as file:
        summary = make_reader(file).get_summary()
    offered = {c.topic: c.metadata["offered_qos_profiles"] for c in summary.channels.values()}
    assert "durability: 1" in offered["/tf_static"]
    assert "transient" not in offered["/tf_static"]
    assert recorded(out)["/tf_static"][2] == [QUALITY["/tf_static"]]


def test_other_metadata_and_idl_definitions_stay(
    image: np.ndarray, copy: Any, tmp_path: Path, capsys: Any
) -> None:
    from mcap.writer import Writer as McapWriter

    robot, idl = Robot(DISTROS[2]), b"=" * 80 + b"\nIDL: lab/msg/Odd\nmodule lab { what; }\n"
    picture = robot.messages(image)["/image_raw"]
    with (tmp_path / "robot.mcap").open("wb") as file:
        writer = McapWriter(file)
        writer.start("ros2", "test")
        text = robot.store.generate_msgdef(picture.__msgtype__, ros_version=2)[0].encode()
        schemas = [
            writer.register_schema(picture.__msgtype__, "ros2msg", text),
            writer.register_schema("lab/msg/Odd", "ros2idl", idl),
        ]
        metadata = {"offered_qos_profiles": "", "topic_type_hash": "RIHS01_abc", "lens": "8 mm"}
        for schema, topic in zip(schemas, ("/image_raw", "/odd"), strict=True):
            channel = writer.register_channel(topic, "cdr", schema, metadata)
            data = robot.store.serialize_cdr(picture, picture.__msgtype__)
            writer.add_message(channel, START_NS, bytes(data), START_NS)
        writer.finish()
    out, _ = copy(tmp_path / "robot.mcap", capsys)
    with out.open("rb") as file:
        summary = make_reader(file).get_summary()
    (odd,) = (c for c in summary.channels.values() if c.topic == "/odd")
    assert odd.metadata == metadata
    schema = summary.schemas[odd.schema_id]
    assert (schema.name, schema.encoding, schema.data) == ("lab/msg/Odd", "ros2idl", idl)
