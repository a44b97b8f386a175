# SPDX-License-Identifier: Apache-2.0
"""What a recorder leaves that was killed: all that can be read is read, the rest is named."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: pip install 'headpose-ehpnet[bags]'")

from rosbags.rosbag2 import CompressionMode, StoragePlugin

from headpose_core.bags.reader import Bag
from headpose_core.errors import BagError
from tests.bag_files import CAMERA_INFO, IMAGES, write_recording

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PART = 4  # images
NOTES = "/notes"
STORAGES = {".mcap": StoragePlugin.MCAP, ".db3": StoragePlugin.SQLITE3}


def part(
    folder: Path, number: int, ending: str, count: int = PART, side: int = 48, **options: Any
) -> Path:
    """The `number`-th file of a bag, with images of its own; its name is drive_<number>."""
    name = f"drive_{number}"
    noise = np.random.default_rng(number).integers(0, 256, (count, side, side, 3), np.uint8)
    options = {"storage": STORAGES[ending], "first": PART * number, **options}
    bag = write_recording(folder / f"{name}_", list(noise), **options)
    (file,) = (p for p in bag.iterdir() if p.suffix != ".yaml")
    target = folder / f"{name}{ending}"
    shutil.move(file, target)
    shutil.move(bag / "metadata.yaml", folder / f"{name}.yaml")
    bag.rmdir()
    return target


def compress(path: Path, share: float = 1.0) -> Path:
    """The file as rosbag2 compresses it, up to a share of its bytes."""
    data = zstd.compress(path.read_bytes())
    path.unlink()
    packed = path.with_name(f"{path.name}.zstd")
    packed.write_bytes(data[: int(share * len(data))])
    return packed


def read(path: Path) -> tuple[list[int], list[str]]:
    """Numbers of the images by their order in the bag, and what was lost."""
    with Bag(path) as bag:
        found = [data for _, _, data in bag.messages([NOTES])]
        counts = {topic: len(list(bag.messages([topic]))) for topic in (IMAGES, CAMERA_INFO)}
        lost = bag.lost
    texts = [data[8:].rstrip(b"\0").decode() for data in found]
    assert not lost or set(counts.values()) <= {len(found), len(found) + 1, len(found) - 1}
    return [int(text.removeprefix("image ")) for text in texts], lost


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    folder = tmp_path / "drive"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("ending", STORAGES)
def test_files_that_are_compressed_and_one_that_is_not(drive: Path, ending: str) -> None:
    for number in range(11):
        file = part(drive, number, ending)
        if number < 10:
            compress(file)
    images, lost = read(drive)
    assert images == list(range(11 * PART))
    said = "there is no metadata.yaml: 11 files are read in the order of their numbers"
    assert lost == [said]


@pytest.mark.parametrize("ending", STORAGES)
def test_a_file_that_was_being_compressed_is_read_once(drive: Path, ending: str) -> None:
    compress(part(drive, 0, ending))
    whole = part(drive, 1, ending)
    kept = whole.read_bytes()
    half = compress(whole, 0.5)
    whole.write_bytes(kept)
    images, lost = read(drive)
    assert images == list(range(2 * PART))
    assert f"{half.name} is left out: {whole.name} holds the same" in lost


@pytest.mark.parametrize("ending", STORAGES)
def test_of_a_half_compressed_file_the_half_is_read(drive: Path, ending: str) -> None:
    packed = compress(part(drive, 0, ending, 20, side=200), 0.7)
    images, lost = read(drive)
    assert 5 < len(images) < 20
    assert images == list(range(len(images)))
    assert any(text.startswith(f"{packed.name}: its compression is damaged") for text in lost)
    assert any("messages can be read" in text for text in lost)


@pytest.mark.parametrize("ending", STORAGES)
@pytest.mark.parametrize("single", [False, True], ids=["folder", "file"])
def test_messages_that_are_compressed_need_no_metadata(
    drive: Path, ending: str, single: bool
) -> None:
    file = part(drive, 0, ending, compression=CompressionMode.MESSAGE)
    images, lost = read(file if single else drive)
    assert images == list(range(PART))
    assert len(lost) == (0 if single else 1)


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_compressed_message_that_is_damaged_is_counted(drive: Path, damage: str) -> None:
    file = part(drive, 0, ".db3", compression=CompressionMode.MESSAGE)
    with sqlite3.connect(file) as database:
        query = "SELECT m.id, data FROM messages m JOIN topics t ON t.id = topic_id WHERE name = ?"
        rows = list(database.execute(query, (NOTES,)))
        number, data = rows[1]
        bad = data[:-4] if damage == "cut" else data[:5] + b"\xff\xff\xff" + data[8:]
        database.execute("UPDATE messages SET data = ? WHERE id = ?", (bad, number))
    with Bag(file) as bag:
        assert len(list(bag.messages([NOTES]))) == PART - 1
        assert bag.lost == [f"1 messages of {NOTES} are lost: they cannot be decompressed"]


def test_metadata_may_not_know_the_last_file(drive: Path) -> None:
    for number in range(3):
        part(drive, number, ".mcap")
    shutil.copyfile(part(drive, 7, ".mcap"), drive / "poses.mcap")
    (drive / "drive_7.mcap").unlink()
    shutil.move(drive / "drive_0.yaml", drive / "metadata.yaml")
    text = (drive / "metadata.yaml").read_text()
    text = text.replace("- drive_0_.mcap", "- drive_0.mcap\n  - gone.mcap")
    (drive / "metadata.yaml").write_text(text)
    images, lost = read(drive)
    assert images == list(range(3 * PART))
    assert lost == [
        "gone.mcap is missing, metadata.yaml names it",
        "poses.mcap is left out: metadata.yaml does not name it",
        "drive_1.mcap is read, although metadata.yaml does not name it",
        "drive_2.mcap is read, although metadata.yaml does not name it",
    ]


@pytest.mark.parametrize("text", ["", "a: [", "rosbag2_bagfile_information: 3", "\x00", "[]"])
def test_metadata_may_be_damaged(drive: Path, text: str) -> None:
    part(drive, 0, ".db3")
    (drive / "metadata.yaml").write_text(text)
    images, (lost,) = read(drive)
    assert images == list(range(PART))
    assert lost.startswith("metadata.yaml cannot be read (")


def test_files_that_cannot_be_read_are_named(drive: Path) -> None:
    part(drive, 0, ".mcap")
    (drive / "drive_1.mcap").write_bytes(b"")
    (drive / "drive_2.mcap.lz4").write_bytes(b"x")
    (drive / "notes.txt").write_text("rain")
    images, lost = read(drive)
    assert images == list(range(PART))
    assert any(text.startswith("drive_1.mcap: nothing can be read (") for text in lost)
    assert "drive_2.mcap.lz4 is left out: expected an .mcap, .db3 or .zstd file" in lost
    assert not any("notes" in text for text in lost)
    empty = drive.parent / "empty"
    empty.mkdir()
    with pytest.raises(BagError, match=r"empty: expected a ROS 2 bag .* got 'no such file'"):
        Bag(empty)


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_what_sqlite_had_not_moved_in_is_read(drive: Path, mode: str) -> None:
    """WAL: new messages stand beside the file. DELETE: what stands beside it undoes a half one."""
    file = part(drive, 0, ".db3")
    folder = drive.parent / "killed"
    database = sqlite3.connect(file, isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {mode}")
    database.execute("PRAGMA wal_autocheckpoint = 0")
    database.execute("PRAGMA cache_size = 1")
    database.execute("BEGIN")
    database.execute(
        "INSERT INTO messages (topic_id, timestamp, data) "
        "SELECT topic_id, timestamp + 1000000000, data FROM messages"
    )
    if mode == "WAL":
        database.execute("COMMIT")
    shutil.copytree(drive, folder)
    database.close()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert any(name.startswith("drive_0.db3-") for name in before)
    images, lost = read(folder)
    assert images == list(range(PART)) * (2 if mode == "WAL" else 1)
    assert len(lost) == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
