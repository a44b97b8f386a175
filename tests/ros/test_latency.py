# SPDX-License-Identifier: Apache-2.0
"""The latency benchmark: what it asks for, what it makes of it, and one run over real DDS."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from benchmarks.ros_latency import KINDS, Kind, Measured, line, processor_s
from tests.places import REPOSITORY


def test_kinds_say_size_rate_and_transport() -> None:
    assert Kind.read("720p30raw") == Kind((1280, 720), 30, compressed=False)
    assert Kind.read("1080p60jpeg") == Kind((1920, 1080), 60, compressed=True)
    assert len({Kind.read(kind) for kind in KINDS}) == 12
    for wrong in ("720p", "720praw", "800p30raw", "720p30png"):
        with pytest.raises(ValueError, match="expected a kind like 480p30raw"):
            Kind.read(wrong)


def test_what_was_measured() -> None:
    told = Measured.of(110, 106, 5, list(range(1, 102)), cpu=30.0, pid=os.getpid())
    assert (told.sent, told.arrived, told.lost, told.dropped) == (110, 101, 4, 5)
    assert (told.p50, told.p95, told.p99) == (51.0, 96.0, 100.0)
    assert told.cpu_percent == 30.0
    assert told.memory_mb > 10
    assert math.isnan(Measured.of(3, 0, 0, [], 0.0, os.getpid()).p50)
    row = line("720p30raw", {"node": vars(told), "empty": {**vars(told), "p50": 1.0, "lost": 7}})
    assert "110 sent    4 lost    5 dropped" in row
    assert "7 lost  over it" in row
    assert "over it   50.0    0.0 ms" in row


def test_processor_time_is_the_kernels_count() -> None:
    before = os.times()
    assert processor_s(os.getpid()) == pytest.approx(before.user + before.system, abs=0.05)


@pytest.mark.long
def test_a_run_over_real_dds(tmp_path: Path) -> None:
    """Of the node as it is shipped, with one camera."""
    kinds = ("720p30raw", "480p30jpeg")
    command = [sys.executable, "-m", "benchmarks.ros_latency", "--seconds", "5"]
    command += ["--kinds", *kinds, "--json", str(tmp_path / "told.json")]
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=240)
    told = json.loads((tmp_path / "told.json").read_text())
    assert set(told) == {*kinds, "idle", "start"}
    for kind in kinds:
        node, empty = told[kind]["node"], told[kind]["empty"]
        assert node["sent"] == empty["sent"] == 150
        assert 0 < node["arrived"] == 150 - node["lost"] - node["dropped"]
        assert 0 < empty["arrived"] == 150 - empty["lost"]
        assert node["p50"] > 0
    nodes_mb = [told["start"]["rss_mb"], *(told[kind]["node"]["memory_mb"] for kind in kinds)]
    # Of three nodes: how much of the camera's shared memory one has mapped varies.
    assert statistics.median(nodes_mb) < 350
    assert 0 < told["start"]["first_pose_s"] < 10  # 2 on a machine that has nothing else to do
    assert told["idle"]["cpu_percent"] < 2  # the goal is 1
