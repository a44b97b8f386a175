# SPDX-License-Identifier: Apache-2.0
"""Bags of every kind with bytes cut, flipped, doubled and in each other's place."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: pip install 'headpose-ehpnet[bags]'")

from mcap.reader import make_reader
from mcap.writer import CompressionType, IndexType, Writer
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from headpose_core.bags.annotate import BagTask, annotate
from headpose_core.bags.reader import Bag
from headpose_core.errors import BagError
from headpose_core.types import Frame
from tests.bag_files import write_recording
from tests.damages import DAMAGES

MCAP, SQLITE = StoragePlugin.MCAP, StoragePlugin.SQLITE3
KINDS: dict[str, dict[str, Any]] = {
    "mcap": {"storage": MCAP},
    "mcap_chunks": {"storage": MCAP, "compression": CompressionMode.STORAGE},
    "mcap_messages": {"storage": MCAP, "compression": CompressionMode.MESSAGE},
    "mcap_file": {"storage": MCAP, "compression": CompressionMode.FILE},
    "sqlite": {"storage": SQLITE, "jpeg": True},
    "sqlite_messages": {"storage": SQLITE, "compression": CompressionMode.MESSAGE},
    "sqlite_file": {"storage": SQLITE, "compression": CompressionMode.FILE},
    "mcap_unchunked": {"use_chunking": False},
    "mcap_chunk_index": {"index_types": IndexType.CHUNK, "chunk_size": 30_000},
    "mcap_lz4": {"index_types": IndexType.NONE, "compression": CompressionType.LZ4},
}
LONGEST_S = 60


def write(path: Path, options: dict[str, Any]) -> Path:
    """A recording as rosbags or, with other options, as the mcap package writes it."""
    images = list(np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), np.uint8))
    if "storage" in options:
        return write_recording(path, images, **options)
    source = write_recording(path, images) / f"{path.name}.mcap"
    with source.open("rb") as file:
        messages = list(make_reader(file).iter_messages())
    random.Random(0).shuffle(messages)
    with source.open("wb") as file:
        writer, channels = Writer(file, **options), dict[str, int]()
        writer.start("ros2", "test")
        for schema, channel, message in messages:
            if channel.topic not in channels:
                number = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.topic] = writer.register_channel(channel.topic, "cdr", number)
            time_ns = message.log_time
            writer.add_message(channels[channel.topic], time_ns, message.data, time_ns)
        writer.finish()
    return path


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """A hang is a failure that names where it is."""

    def ring(number: int, frame: object) -> None:
        raise TimeoutError(f"expected an end within {seconds} s")

    old = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


class NobodyThere:
    """Stands for the pipeline: the bags are what is tested, and there are many of them."""

    def __call__(self, view: Any, stamp_s: float, camera: Any) -> Frame:
        return Frame(stamp_s, (), {})


@pytest.mark.parametrize("count", [15, pytest.param(1000, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bags_end_in_messages_or_a_bag_error(
    tmp_path: Path, kind: str, count: int
) -> None:
    whole, work = write(tmp_path / "whole", KINDS[kind]), tmp_path / "work"
    chance, read = random.Random(kind), 0
    for number in range(count):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(whole, work)
        files = sorted(work.iterdir())
        for path in chance.sample(files, chance.choice([1, len(files)])):
            data = bytearray(path.read_bytes())
            chance.choice(DAMAGES)(data, chance)
            path.write_bytes(data)
        if chance.random() < 0.4:
            (work / "metadata.yaml").unlink()
        source = work if chance.random() < 0.7 else chance.choice(sorted(work.iterdir()))
        task = BagTask(source, tmp_path / "out.mcap", tmp_path / "out.jsonl", copy=True)
        try:
            with at_most(LONGEST_S):
                result = annotate(task, NobodyThere())  # type: ignore[arg-type]
        except BagError as error:
            assert "expected" in str(error) or "--image-topic" in str(error)
            continue
        except Exception as error:
            raise AssertionError(f"{kind}, number {number}: {error!r}") from error
        read += result.images
        if number % 5 == 0:
            with Bag(tmp_path / "out.mcap") as copy:
                assert len(list(copy.messages(["/head_pose"]))) == result.images
                assert copy.lost == []
    assert read > count  # of six images for each bag
