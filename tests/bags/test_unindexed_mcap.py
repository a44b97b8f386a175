# SPDX-License-Identifier: Apache-2.0
"""MCAP files without an index of their messages: whole ones by the package, damaged ones by us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rosbags", reason="needs rosbags: pip install 'headpose-ehpnet[bags]'")

from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.writer import CompressionType, IndexType, Writer

from headpose_core.bags.indexed_storage import IndexedStorage, open_storage
from headpose_core.bags.reader import Bag
from headpose_core.bags.salvage_mcap import SalvagedMcap
from headpose_core.bags.storage import Block, StoredMessage, in_time_order
from headpose_core.bags.unindexed_mcap import UnindexedMcap

TOPICS = ("/front/image_raw", "/rear/image_raw")
NO_SUMMARY = {
    "index_types": IndexType.NONE,
    "use_statistics": False,
    "use_summary_offsets": False,
    "repeat_schemas": False,
    "repeat_channels": False,
}


def write_mcap(path: Path, order: list[int], profile: str = "ros2", **options: Any) -> Path:
    """Message i of the second i, every third one of another topic, in this order in the file."""
    with path.open("wb") as file:
        writer = Writer(file, **options)
        writer.start(profile, "test")
        schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"string data\n")
        channels = [writer.register_channel(topic, "cdr", schema) for topic in TOPICS]
        for i in order:
            text = f"\x00\x01\x00\x00message {i}".encode().ljust(200)
            writer.add_message(channels[i % 3 == 0], i * 10**9, text, i * 10**9)
        writer.finish()
    return path


def times(path: Path) -> list[int]:
    """Seconds of the messages, whose texts say the same, and nothing of the file is lost."""
    with Bag(path) as bag:
        found = list(bag.messages(TOPICS))
        assert bag.lost == []
        assert bag.count(TOPICS) == len(found)
    for topic, stamp_ns, data in found:
        i = stamp_ns // 10**9
        assert topic == TOPICS[i % 3 == 0]
        assert data[4:].decode().strip() == f"message {i}"
    return [stamp_ns // 10**9 for _, stamp_ns, _ in found]


SHUFFLED = [7, 2, 11, 0, 1, 9, 5, 3, 10, 4, 8, 6]
CHUNKS = {"chunk_size": 700}


@pytest.mark.parametrize("order", [list(range(12)), SHUFFLED], ids=["sorted", "shuffled"])
@pytest.mark.parametrize(
    ("options", "is_indexed"),
    [
        (CHUNKS, True),
        (CHUNKS | {"index_types": IndexType.CHUNK}, False),
        (CHUNKS | {"index_types": IndexType.CHUNK, "use_statistics": False}, False),
        (CHUNKS | {"index_types": IndexType.MESSAGE, "compression": CompressionType.LZ4}, False),
        (CHUNKS | NO_SUMMARY | {"compression": CompressionType.NONE}, False),
        ({"use_chunking": False}, False),
        ({"use_chunking": False, **NO_SUMMARY}, False),
        (CHUNKS | {"profile": ""}, False),
    ],
)
def test_whole_files_are_read_in_the_order_of_time(
    tmp_path: Path, order: list[int], options: dict[str, Any], is_indexed: bool
) -> None:
    path = write_mcap(tmp_path / "x.mcap", order, **options)
    assert times(path) == sorted(order)
    assert isinstance(open_storage(path), IndexedStorage if is_indexed else UnindexedMcap)


def test_no_more_blocks_are_in_memory_than_overlap() -> None:
    blocks = [Block(second, second, (1 + second % 2,)) for second in (30, 10, 20, 0)]
    read: list[int] = []

    def messages(offset: int) -> list[StoredMessage]:
        read.append(offset)
        return [StoredMessage(1 + offset % 2, offset + later, b"") for later in (12, 0)]

    for message in in_time_order(blocks, {1}, messages):
        assert max(read) <= message.stamp_ns
    assert read == [0, 10, 20, 30]
    assert list(in_time_order(blocks, {2}, messages)) == []


def test_a_checksum_that_is_wrong_is_damage(tmp_path: Path) -> None:
    path = write_mcap(
        tmp_path / "x.mcap", SHUFFLED, compression=CompressionType.NONE, **NO_SUMMARY
    )
    data = bytearray(path.read_bytes())
    data[data.index(b"message 5") + 8] = ord("9")
    path.write_bytes(data)
    with Bag(path) as bag:
        assert len(list(bag.messages(TOPICS))) == len(SHUFFLED)
        (lost,) = bag.lost
    assert lost.startswith("x.mcap: damaged (")
    assert lost.endswith(
        "12 messages can be read, 0 in broken chunks and 0 bytes at the end cannot"
    )
    assert "checksum" in lost


@pytest.mark.parametrize("compression", [CompressionType.NONE, CompressionType.ZSTD])
def test_the_package_gives_nothing_of_a_cut_chunk(tmp_path: Path, compression: Any) -> None:
    """Which is why damaged files have a reader of our own."""
    order = list(range(2000)) if compression == CompressionType.ZSTD else list(range(100))
    path = write_mcap(tmp_path / "x.mcap", order, compression=compression, **NO_SUMMARY)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 45 // 100])
    given = []
    with path.open("rb") as file, pytest.raises((McapError, ValueError)):
        given += [message for _, _, message in make_reader(file).iter_messages()]
    assert given == []
    salvaged = SalvagedMcap(path)
    found = list(salvaged.messages(salvaged.topics))
    assert 0.2 * len(order) < len(found) < 0.5 * len(order)
    assert salvaged.lost.startswith(f"{len(found)} messages can be read, ")


def test_messages_of_a_broken_chunk_are_counted_by_name(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "x.mcap", list(range(400)), chunk_size=20000)
    data = bytearray(path.read_bytes())
    start = data.index(b"\x28\xb5\x2f\xfd", len(data) // 2)  # a frame of zstd
    data[start : start + 8] = bytes(8)
    path.write_bytes(data[:-100])
    with Bag(path) as bag:
        found = list(bag.messages(TOPICS))
        (lost,) = bag.lost
    broken = 400 - len(found)
    rear = sum(topic == TOPICS[1] for topic, _, _ in found)
    assert 50 < broken < 150
    expected = f"{broken} in broken chunks ({broken - 134 + rear} of {TOPICS[0]}, "
    assert f"{expected}{134 - rear} of {TOPICS[1]})" in lost
