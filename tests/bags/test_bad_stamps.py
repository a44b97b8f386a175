# SPDX-License-Identifier: Apache-2.0
"""Bags whose image stamps say nothing: the time of recording serves, and it is said once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: pip install 'headpose-ehpnet[bags]'")

from headpose_core.bags.type_store import Messages
from headpose_core.bags.writer import write_bag
from headpose_core.commands.cli import main
from tests.bag_files import IMAGES, START_NS, pictures, read_all

STEP_NS = 33_000_000
SHOWN, AWAY = 6, 30  # images with the face, before and behind those without
COUNT = 2 * SHOWN + AWAY


@pytest.fixture(scope="module")
def images(car_video: Path) -> list[np.ndarray]:
    seen = pictures(car_video, 2 * SHOWN)
    return [*seen[:SHOWN], *[np.full_like(seen[0], 90)] * AWAY, *seen[SHOWN:]]


def recorded_ns(number: int) -> int:
    return START_NS + number * STEP_NS


@pytest.fixture
def run(images: list[np.ndarray], tiny_model_file: Path, tmp_path: Path, capsys: Any) -> Any:
    """`headpose bag` on images with these stamps: records, headers in the bag, warnings."""

    def run(stamps_ns: list[int]) -> tuple[list[Any], list[int], list[str]]:
        messages = Messages()
        with write_bag(tmp_path / "drive.mcap", messages) as writer:
            for number, (image, stamp_ns) in enumerate(zip(images, stamps_ns, strict=True)):
                sec, nanosec = divmod(stamp_ns, 10**9)
                stamp = messages.make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
                header = messages.make("std_msgs/msg/Header", stamp=stamp, frame_id="camera")
                height, width = image.shape[:2]
                layout = {"height": height, "width": width, "encoding": "rgb8", "step": 3 * width}
                kind = "sensor_msgs/msg/Image"
                picture = messages.make(kind, header=header, data=image.ravel(), **layout)
                writer.write(IMAGES, picture, recorded_ns(number))
        files = [tmp_path / "drive.mcap", "--out", tmp_path / "o.mcap", "--jsonl", tmp_path / "o"]
        files[-1] = files[-1].with_suffix(".jsonl")
        assert main(["bag", *map(str, files), "--model", str(tiny_model_file), "--quiet"]) == 0
        records = [json.loads(line) for line in files[-1].read_text().splitlines()]
        poses = read_all(tmp_path / "o.mcap")["/head_pose"]
        assert [stamp_ns for stamp_ns, _ in poses] == [recorded_ns(i) for i in range(COUNT)]
        headers = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for _, m in poses]
        said = [
            line for line in capsys.readouterr().err.splitlines() if ": the stamps of " in line
        ]
        return records, headers, said

    return run


def orientations(records: list[Any]) -> list[list[float]]:
    return [head["orientation_xyzw"] for record in records for head in record["heads"]]


BAD = {
    "zero": [0] * COUNT,
    "the same as before": [START_NS - 10**10] * COUNT,
    "years off": [10**10 + i * STEP_NS for i in range(COUNT)],
}


@pytest.mark.parametrize("problem", BAD)
def test_the_time_of_recording_serves_and_stamps_stay(run: Any, problem: str) -> None:
    records, headers, said = run(BAD[problem])
    expected = [round(recorded_ns(i) * 1e-9, 6) for i in range(COUNT)]
    assert [record["stamp"] for record in records] == expected
    assert headers == BAD[problem]
    (line,) = said
    counted = f"{IMAGES}: the stamps of {COUNT} images are {problem}"
    assert f"{counted}, the time of recording serves instead" in line
    ids = [head["face_id"] for record in records for head in record["heads"]]
    assert ids == ["f1"] * SHOWN + ["f2"] * SHOWN  # a second without it ends a track
    good, _, _ = run([recorded_ns(i) for i in range(COUNT)])
    # Filtered, with the same steps of time.
    np.testing.assert_allclose(orientations(records), orientations(good), atol=1e-5)


def test_some_bad_stamps_among_good_ones_change_no_id(run: Any) -> None:
    """The camera's clock is two minutes ahead; now and then a stamp is missing or repeated."""
    good = [recorded_ns(i) + 120 * 10**9 for i in range(COUNT)]
    stamps = list(good)
    stamps[0], stamps[2], stamps[4], stamps[-1] = 0, 0, stamps[3], stamps[-2]
    records, headers, said = run(stamps)
    assert headers == stamps
    found = [record["stamp"] for record in records]
    assert found[1:] == pytest.approx([ns * 1e-9 for ns in good[1:]], abs=1e-4)
    assert [line.partition("the stamps of ")[2].partition(",")[0] for line in said] == [
        "2 images are zero",
        "2 images are the same as before",
    ]
    ids = [head["face_id"] for record in records[1:SHOWN] for head in record["heads"]]
    assert len(set(ids)) == 1


def test_good_stamps_are_not_talked_about(run: Any) -> None:
    stamps = [recorded_ns(i) - 4_000_000 for i in range(COUNT)]
    records, headers, said = run(stamps)
    assert said == []
    assert headers == stamps
    assert [r["stamp"] for r in records] == [round(ns * 1e-9, 6) for ns in stamps]
