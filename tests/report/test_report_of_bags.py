# SPDX-License-Identifier: Apache-2.0
"""`headpose report` on bags: times, pictures, and what it says of what is missing."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("plotly", reason="needs plotly: pip install 'headpose-ehpnet[report]'")
pytest.importorskip("rosbags", reason="needs rosbags: pip install 'headpose-ehpnet[report]'")

from headpose_core.bags.type_store import Messages
from headpose_core.bags.writer import write_bag
from headpose_core.commands.cli import main
from headpose_core.report.recording import read_recording
from headpose_core.report.thumbnails import thumbnails
from tests.bag_files import START_NS

POSES, PICTURES = "/head_pose", "/head_pose/debug_image/compressed"
STEP_NS = 100_000_000
COUNT = 20


def write_poses(path: Path, stamps_ns: list[int], damaged: int = 0) -> Path:
    """A head that turns, and pictures whose grey says their number."""
    messages = Messages()
    make = messages.make
    with write_bag(path, messages) as writer:
        for number, stamp_ns in enumerate(stamps_ns):
            sec, nanosec = divmod(stamp_ns, 10**9)
            stamp = make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
            header = make("std_msgs/msg/Header", stamp=stamp, frame_id="camera")
            roi = make("sensor_msgs/msg/RegionOfInterest", width=20, height=20)
            angles = [3.0 * number, 0.0, 0.0]
            kind = "headpose_ros/msg/HeadPose"
            head = make(kind, face_id="f1", roi=roi, paper_angles=angles, stddev=[0.1] * 3)
            array = make("headpose_ros/msg/HeadPoseArray", header=header, heads=[head])
            grey = np.full((40, 40, 3), 10 * number, np.uint8)
            data = cv2.imencode(".jpg", grey)[1].ravel()
            kind = "sensor_msgs/msg/CompressedImage"
            picture = make(kind, header=header, format="jpeg", data=data)
            came_ns = START_NS + number * STEP_NS
            writer.write(POSES, array, came_ns)
            writer.write(PICTURES, picture, came_ns)
        for number in range(damaged):
            writer.copy(POSES, b"\0\1\0\0cut", START_NS + (COUNT + number) * STEP_NS)
    return path


GOOD = [START_NS - 30_000_000 + i * STEP_NS for i in range(COUNT)]


def test_good_stamps_say_times_and_latency(tmp_path: Path) -> None:
    recording = read_recording(write_poses(tmp_path / "p.mcap", GOOD), POSES)
    assert recording.notes == []
    np.testing.assert_allclose(recording.stamps_s, np.array(GOOD) * 1e-9, atol=1e-6)
    np.testing.assert_allclose(recording.latency_ms, 30.0, atol=1e-3)


@pytest.mark.parametrize(
    ("stamps_ns", "problem"),
    [
        ([0] * COUNT, "zero"),
        ([START_NS] * COUNT, "the same as before"),
        ([5 * 10**9 + i * STEP_NS for i in range(COUNT)], "years off"),
    ],
)
def test_the_time_of_recording_serves_for_bad_stamps(
    tmp_path: Path, capsys: Any, stamps_ns: list[int], problem: str
) -> None:
    path = write_poses(tmp_path / "p.mcap", stamps_ns)
    recording = read_recording(path, POSES)
    came = START_NS * 1e-9 + np.arange(COUNT) * STEP_NS * 1e-9
    np.testing.assert_allclose(recording.stamps_s, came, atol=1e-6)
    assert np.isnan(recording.latency_ms).all()
    left, right, *_ = thumbnails(recording, path, None)
    greys = [
        cv2.imdecode(np.frombuffer(b64decode(t.jpeg), np.uint8), 0)[80, 80] for t in (left, right)
    ]
    assert greys == pytest.approx([10 * (COUNT - 1), 0], abs=3)  # each its own picture
    assert main(["report", str(path), "--out", str(tmp_path / "r.html")]) == 0
    note = f"{POSES}: the stamps of {COUNT} images are {problem}"
    assert note in capsys.readouterr().err
    page = (tmp_path / "r.html").read_text()
    assert note in page
    assert f"<p>Images: {COUNT} in 1.9 s (10.0 per second)" in page


def test_what_is_lost_of_a_bag_is_said(tmp_path: Path) -> None:
    path = write_poses(tmp_path / "p.mcap", GOOD, damaged=3)
    recording = read_recording(path, POSES)
    assert len(recording.stamps_s) == COUNT
    assert recording.notes == [f"3 messages of {POSES} are damaged, or of another version"]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    assert read_recording(path, POSES).notes[0].startswith("p.mcap: damaged (")


def test_lines_with_one_stamp_say_that_no_time_is_known(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"stamp": 0.0, "heads": []}\n' * 3)
    (note,) = read_recording(tmp_path / "p.jsonl", "").notes
    assert note.startswith("all images have the same stamp")
