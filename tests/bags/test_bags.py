# SPDX-License-Identifier: Apache-2.0
"""`headpose bag` on real bags of every kind, whole and damaged."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: pip install 'headpose-ehpnet[bags]'")

from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from headpose_core.bags.reader import Bag
from headpose_core.bags.salvage_sqlite import SalvagedSqlite
from headpose_core.bags.type_store import Messages
from headpose_core.bags.writer import write_bag
from headpose_core.commands.cli import main
from headpose_core.errors import BagError
from headpose_core.messages.records import CSV_COLUMNS
from tests.bag_files import CAMERA_INFO, IMAGES, START_NS, pictures, read_all, write_recording
from tests.places import REPOSITORY

COUNT = 12
POSES, TF, MARKERS = "/head_pose", "/tf", "/head_pose/markers"


@pytest.fixture(scope="module")
def images(car_video: Path) -> list[np.ndarray]:
    return pictures(car_video, COUNT)


@pytest.fixture(scope="module")
def recording(images: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("bags") / "drive", images)


@pytest.fixture
def bag(tiny_model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `headpose bag` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> int:
        return main(["bag", *map(str, arguments), "--model", str(tiny_model_file), "--quiet"])

    return run


def test_poses_transforms_and_pictures_go_into_a_bag(bag, recording: Path, images) -> None:
    assert bag(recording, "--out", "out.mcap", "--debug-images", "--copy") == 0
    found = read_all(Path("out.mcap"))
    assert [stamp for stamp, _ in found[POSES]] == [stamp for stamp, _ in found[IMAGES]]
    for (_, poses), (_, image) in zip(found[POSES], found[IMAGES], strict=True):
        assert poses.header == image.header
    (head,) = found[POSES][0][1].heads
    assert head.face_id == "f1"
    assert head.perspective_corrected  # the calibration was there for the first image
    assert 0.2 < head.position.z < 0.6
    assert head.orientation_covariance[0] > 0
    names = [[t.child_frame_id for t in message.transforms] for _, message in found[TF]]
    assert names == [["face_f1", "gaze_f1"]] * (COUNT - 1)  # confirmed by the second image
    assert found[TF][0][1].transforms[0].header.frame_id == "camera_optical_frame"
    assert [len(message.markers) for _, message in found[MARKERS]] == [1] + [3] * (COUNT - 1)
    assert {marker.ns for marker in found[MARKERS][-1][1].markers} == {"axes", "cone", "id"}
    picture = found["/head_pose/debug_image/compressed"][3][1]
    drawn = cv2.imdecode(picture.data, cv2.IMREAD_COLOR)[..., ::-1]
    assert drawn.shape == images[3].shape
    difference = np.abs(drawn.astype(int) - images[3]).max(axis=2)
    assert 0.01 < np.mean(difference > 60) < 0.3  # the same picture with lines on it
    assert [message.data for _, message in found["/notes"]] == [f"image {i}" for i in range(COUNT)]


def test_a_report_shows_the_pictures_of_a_bag(bag, recording: Path, capsys) -> None:
    pytest.importorskip("plotly", reason="needs plotly: pip install 'headpose-ehpnet[report]'")
    assert bag(recording, "--out", "out.mcap", "--debug-images") == 0
    assert main(["report", "out.mcap", "--out", "r.html"]) == 0
    page = Path("r.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 6
    assert f"<p>Images: {COUNT} in 0.4 s (30.0 per second); faces: 1" in page
    assert main(["report", str(recording), "--out", "r.html"]) == 1
    assert "expected poses on /head_pose, there are some on no topic" in capsys.readouterr().err


def test_types_are_those_that_ros_knows(bag, recording: Path) -> None:
    assert bag(recording, "--out", "out.mcap") == 0
    with AnyReader([Path("out.mcap")]) as reader:
        types = {topic: info.msgtype for topic, info in reader.topics.items()}
        definition = reader.topics[POSES].msgdef.data
        own = reader.typestore.hash_rihs01("tf2_msgs/msg/TFMessage")
    assert types == {
        POSES: "headpose_ros/msg/HeadPoseArray",
        TF: "tf2_msgs/msg/TFMessage",
        MARKERS: "visualization_msgs/msg/MarkerArray",
    }
    assert "MSG: headpose_ros/HeadPose\n" in definition
    # The hash by which ROS 2 Jazzy knows its tf2_msgs.
    assert own == "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"


def test_the_reader_of_foxglove_understands_it(bag, recording: Path) -> None:
    reader = pytest.importorskip("mcap_ros2.reader", reason="needs mcap-ros2-support")
    assert bag(recording, "--out", "out.mcap", "--copy", "--debug-images") == 0
    found = [
        (message.channel.topic, message.ros_msg)
        for message in reader.read_ros2_messages(Path("out.mcap"))
    ]
    assert len([topic for topic, _ in found if topic == POSES]) == COUNT
    last = dict(found)
    assert last[POSES].heads[0].face_id == "f1"
    assert last[TF].transforms[0].child_frame_id == "face_f1"
    assert last[MARKERS].markers[-1].text == "f1"
    assert last["/notes"].data == f"image {COUNT - 1}"


@pytest.mark.parametrize(
    ("storage", "compression", "jpeg"),
    [
        (StoragePlugin.SQLITE3, CompressionMode.NONE, False),
        (StoragePlugin.SQLITE3, CompressionMode.FILE, False),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE, False),
        (StoragePlugin.MCAP, CompressionMode.STORAGE, False),
        (StoragePlugin.MCAP, CompressionMode.NONE, True),
    ],
)
def test_every_kind_of_bag_gives_the_same(
    bag, recording: Path, images, storage, compression, jpeg
) -> None:
    other = write_recording(
        Path("other"), images, storage=storage, compression=compression, jpeg=jpeg
    )
    assert bag(recording, "--csv", "a.csv") == bag(other, "--csv", "b.csv") == 0
    assert Path("a.csv").read_text() == Path("b.csv").read_text()


def test_text_files_hold_the_poses(bag, recording: Path) -> None:
    assert bag(recording, "--jsonl", "poses/p.jsonl", "--csv", "p.csv", "--every", 2) == 0
    records = [json.loads(line) for line in Path("poses/p.jsonl").read_text().splitlines()]
    assert len(records) == COUNT // 2
    assert records[1]["stamp"] == pytest.approx(START_NS * 1e-9 + 2 / 30, abs=1e-6)
    (head,) = records[0]["heads"]
    assert np.linalg.norm(head["orientation_xyzw"]) == pytest.approx(1.0, abs=1e-5)
    rows = list(csv.DictReader(Path("p.csv").read_text().splitlines()))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert float(rows[0]["paper_yaw_deg"]) == head["paper_deg"][0]
    assert float(rows[0]["z_m"]) == head["position_m"][2]


def test_topics_are_listed_when_it_is_not_clear(bag, images, capsys) -> None:
    two = write_recording(Path("two"), images[:2])
    shutil.copytree(two, "both")
    with_jpeg = write_recording(Path("jpeg"), images[:2], jpeg=True)
    messages = read_all(with_jpeg) | read_all(two)
    with write_bag(Path("both.mcap"), Messages()) as writer:
        for topic, found in messages.items():
            for stamp, message in found:
                writer.write(topic, message, stamp)
    assert bag("both.mcap", "--jsonl", "p.jsonl") == 1
    told = capsys.readouterr().err
    assert "--image-topic" in told
    assert f"{IMAGES} (sensor_msgs/msg/Image, 2 messages)" in told
    assert f"{IMAGES}/compressed (sensor_msgs/msg/CompressedImage, 2 messages)" in told
    assert bag("both.mcap", "--jsonl", "p.jsonl", "--image-topic", IMAGES) == 0
    assert bag("both.mcap", "--jsonl", "p.jsonl", "--image-topic", "/none") == 1
    assert f"no images on /none, there are some on\n  {IMAGES}" in capsys.readouterr().err
    assert bag(two, "--jsonl", "p.jsonl", "--camera-info", "/none") == 1
    assert f"no camera_info on /none, there is {CAMERA_INFO}" in capsys.readouterr().err


def storage_file(folder: Path) -> Path:
    (found,) = (p for p in folder.iterdir() if p.suffix != ".yaml")
    return found


@pytest.mark.parametrize(
    ("storage", "compression"),
    [
        (StoragePlugin.MCAP, CompressionMode.NONE),
        (StoragePlugin.MCAP, CompressionMode.STORAGE),
        (StoragePlugin.SQLITE3, CompressionMode.NONE),
    ],
)
def test_a_bag_that_breaks_off_gives_what_is_there(
    bag, images, capsys, storage, compression
) -> None:
    folder = write_recording(Path("cut"), images, storage=storage, compression=compression)
    file = storage_file(folder)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 6 // 10])
    assert bag(folder, "--jsonl", "p.jsonl", "--out", "out.mcap") == 0
    found = len(Path("p.jsonl").read_text().splitlines())
    assert 0.4 * COUNT < found < 0.7 * COUNT
    assert len(read_all(Path("out.mcap"))[POSES]) == found
    told = capsys.readouterr().err
    assert f"{file.name}: damaged" in told
    assert "messages can be read" in told


def test_a_broken_chunk_is_counted_and_the_rest_is_read(bag, images, capsys) -> None:
    folder = write_recording(Path("bad"), images * 4, compression=CompressionMode.STORAGE)
    file = storage_file(folder)
    data = bytearray(file.read_bytes())
    start = data.index(b"\x28\xb5\x2f\xfd", len(data) // 3)  # a frame of zstd
    data[start : start + 8] = bytes(8)
    file.write_bytes(data)
    assert bag(folder, "--jsonl", "p.jsonl") == 0
    found = len(Path("p.jsonl").read_text().splitlines())
    assert 2 * COUNT < found < 4 * COUNT
    told = capsys.readouterr().err
    lost = int(told.split(" messages are lost")[0].rsplit(" ", 1)[1])
    assert 4 * COUNT - found <= lost <= 2 * (4 * COUNT - found) + 1  # camera_info and images


def test_pages_that_point_at_each_other_end(tmp_path: Path) -> None:
    """Copies of pages of a database in each other's place: each row once, and an end."""
    blank = [np.zeros((2, 2, 3), np.uint8)] * 200
    file = storage_file(write_recording(tmp_path / "b", blank, storage=StoragePlugin.SQLITE3))
    whole = file.read_bytes()
    pages = [whole[at : at + 4096] for at in range(0, len(whole), 4096)]
    leaves = [n for n, page in enumerate(pages) if page[0] == 0x0D and b"image " in page]
    assert len(leaves) > 9
    for early, late in ((2, 6), (6, 2), (0, 9), (5, 4)):
        damaged = list(pages)
        damaged[leaves[late]] = pages[leaves[early]]
        file.write_bytes(b"".join(damaged))
        salvaged = SalvagedSqlite(file)
        found = [message.data for message in salvaged.messages(salvaged.topics)]
        assert 300 < len(found) < 600


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE topics SET type = NULL WHERE name = '/notes'",
        "UPDATE topics SET offered_qos_profiles = 7 WHERE name = '/notes'",
        "UPDATE messages SET timestamp = 'noon' WHERE id = 6",
        "UPDATE messages SET data = 5 WHERE id = 6",
    ],
)
def test_a_database_may_have_values_of_any_type(bag, images, capsys, damage: str) -> None:
    folder = write_recording(Path("odd"), images, storage=StoragePlugin.SQLITE3)
    with sqlite3.connect(storage_file(folder)) as database:
        for table in ("topics", "messages"):  # without the rules for their values
            database.execute(f"CREATE TABLE plain AS SELECT * FROM {table}")
            database.execute(f"DROP TABLE {table}")
            database.execute(f"ALTER TABLE plain RENAME TO {table}")
        database.execute(damage)
    assert bag(folder, "--out", "out.mcap", "--copy") == 0
    found = read_all(Path("out.mcap"))
    assert len(found[POSES]) == COUNT
    assert len(found.get("/notes", [])) >= COUNT - 1 or "NULL" in damage
    assert "odd.db3: damaged" in capsys.readouterr().err


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_no_damage_is_more_than_an_error(images, tmp_path: Path, storage) -> None:
    """Cut and flipped anywhere: messages, or a BagError, and nothing else."""
    file = storage_file(write_recording(tmp_path / "bag", images[:3], storage=storage))
    whole = file.read_bytes()
    random = np.random.default_rng(0)
    found = 0
    for _ in range(20):
        data = bytearray(whole[: random.integers(len(whole) // 3, len(whole) + 1)])
        for at in random.integers(len(data), size=random.integers(0, 6)):
            data[at] = random.integers(256)
        for at in random.integers(min(400, len(data)), size=random.integers(0, 3)):
            data[at] = random.integers(256)
        file.write_bytes(data)
        try:
            with Bag(file) as bag:
                found += sum(1 for _ in bag.messages(list(bag.topics)))
        except BagError:
            continue
    assert found > 20


def test_images_that_cannot_be_used_are_counted(bag, images, capsys) -> None:
    messages = read_all(write_recording(Path("good"), images))
    for number in (2, 5):
        messages[IMAGES][number][1].encoding = "bgr32"
    with write_bag(Path("odd.mcap"), Messages()) as writer:
        for topic, found in messages.items():
            for stamp, message in found:
                writer.write(topic, message, stamp)
    assert bag("odd.mcap", "--jsonl", "p.jsonl") == 0
    told = capsys.readouterr().err
    assert "2 messages could not be used" in told
    assert "2 times: image 193x144 'bgr32'" in told
    assert len(Path("p.jsonl").read_text().splitlines()) == COUNT - 2


@pytest.mark.parametrize("content", [None, b"", b"not a bag", b"\x89MCAP0\r\n"])
def test_what_is_no_bag_is_said(bag, capsys, content) -> None:
    if content is not None:
        Path("x.mcap").write_bytes(content)
    assert bag("x.mcap", "--jsonl", "p.jsonl") == 1
    assert "x.mcap: expected a" in capsys.readouterr().err
    assert not Path("p.jsonl").exists()


def test_several_bags_at_once_give_the_same_as_one_by_one(bag, recording: Path, capfd) -> None:
    for name in ("one", "two"):
        shutil.copytree(recording, name)
    Path("bad.mcap").write_bytes(b"broken")
    bags = ("one", "two", "bad.mcap")
    assert bag(*bags, "--out", "many", "--csv", "many", "--jobs", 2) == 1
    told = capfd.readouterr().err
    assert "bad.mcap: expected a ROS 2 bag" in told
    assert f"one: {COUNT} images" in told
    assert bag("one", "--csv", "alone.csv") == 0
    for name in ("one", "two"):
        text = Path(f"many/{name}_headpose.csv").read_text()
        assert text == Path("alone.csv").read_text()
    assert len(read_all(Path("many/two_headpose.mcap"))[POSES]) == COUNT


def test_names_that_would_overwrite_are_refused(bag, recording: Path, capsys) -> None:
    shutil.copytree(recording, "one")
    (file,) = Path("one").glob("*.mcap")
    Path("link.csv").symlink_to(Path("one/metadata.yaml").resolve())
    before = {path: path.read_bytes() for path in Path("one").iterdir()}
    for arguments, reason in (
        ((file, "--out", file), "would replace the input"),
        (("one", "--out", file), "would replace the input"),
        (("one", "--csv", "link.csv"), "would replace the input"),
        (("one", "--out", "one/../one/new.mcap"), "become part of the bag"),
        (("one", "one", "--out", "x.mcap"), "expected a folder, there are 2 inputs"),
        (("one", "--out", "x.db3"), "expected the name of a .mcap file or a folder"),
        (("one",), "nothing to write"),
    ):
        assert bag(*arguments) == 1
        assert reason in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path("one").iterdir()} == before


def test_a_worker_that_is_killed_costs_its_own_bag(
    images, tiny_model_file: Path, tmp_path: Path
) -> None:
    recording = write_recording(tmp_path / "long", images * 40)
    names = ["long", "one", "two"]
    for name in names[1:]:
        shutil.copytree(recording, tmp_path / name)
    code = "import sys\nfrom headpose_core.commands.cli import main\nif __name__ == '__main__':\n"
    (tmp_path / "command.py").write_text(f"{code}    sys.exit(main())\n")
    arguments = ["bag", *names, "--out", "poses", "--jobs", 2, "--model", tiny_model_file]
    with subprocess.Popen(
        [sys.executable, "command.py", *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not (begun := list(tmp_path.glob("poses/.long_headpose.*"))):
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(int(begun[0].name.split(".")[2]), signal.SIGKILL)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "error: long: the process that worked on it ended with SIGKILL" in said
    found = sorted(path.name for path in (tmp_path / "poses").iterdir())
    assert found == ["one_headpose.mcap", "two_headpose.mcap"]
    for name in found:
        assert len(read_all(tmp_path / "poses" / name)[POSES]) == 40 * COUNT


@pytest.mark.parametrize("jobs", [1, 2])
def test_interrupted_it_leaves_whole_files(
    images, tiny_model_file: Path, tmp_path: Path, jobs: int
) -> None:
    recording = write_recording(tmp_path / "long", images * 80)
    names = ["long"] if jobs == 1 else ["long", "other"]
    if jobs == 2:
        shutil.copytree(recording, tmp_path / "other")
    code = "import sys\nfrom headpose_core.commands.cli import main\nif __name__ == '__main__':\n"
    (tmp_path / "command.py").write_text(f"{code}    sys.exit(main())\n")
    arguments = ["bag", *names, "--out", "poses", "--copy", "--jobs", jobs]
    arguments += ["--model", tiny_model_file]
    with subprocess.Popen(
        [sys.executable, "command.py", *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    ) as process:
        out = tmp_path / "poses"
        # Chunks are written now and then; the last ones only when it is told to end.
        while not [path for path in out.rglob("*.mcap") if path.stat().st_size > 1 << 15]:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    files = sorted(out.iterdir())
    assert 1 <= len(files) <= jobs
    # Each can be read; the other job may not have had time for more than its beginning.
    counts = [len(read_all(file).get(POSES, [])) for file in files]
    assert 0 < max(counts) < len(images) * 80
