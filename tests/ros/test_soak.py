# SPDX-License-Identifier: Apache-2.0
"""A minute, at the pace of the machine, of the soak that benchmarks/soak.py runs for 20."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy.context import Context

from benchmarks.processes import Usage
from benchmarks.soak import Result, Settings, soak


def test_a_minute_leaves_the_node_as_it_was(ros: Context, car_video: Path) -> None:
    """Its memory, its threads, its files; each image is answered; the face keeps its id.

    Paced: each image waits for the answer to the one before, so that a slow machine loses none.
    What becomes of 30 images a second, whatever the node does, only benchmarks/soak.py tells.
    """
    result = soak(car_video, Settings(seconds=60.0, settle_s=20.0, paced=True), ros)
    print(result.line())
    assert result.problems == []
    assert (result.dropped, result.failed, result.without_face) == (0, 0, 0)
    assert (result.end.threads, result.end.open_files) == (
        result.settled.threads,
        result.settled.open_files,
    )
    assert result.line().startswith("soak passed")


def test_verdict() -> None:
    """What fails a run."""
    settled = Usage(memory_mb=100.0, threads=5, open_files=9)
    good = Result(
        settings=Settings(),
        sent=240,
        lost=0,
        dropped=0,
        failed=0,
        answered=240,
        without_face=1,
        ids={"f1": 239},
        settled=settled,
        end=replace(settled, memory_mb=102.9),
        exit_status=0,
    )
    assert good.problems == []
    bad = [
        replace(good, end=replace(settled, memory_mb=103.1)),
        replace(good, lost=1, answered=239),
        replace(good, dropped=1, answered=239),
        replace(good, ids={"f1": 120, "f2": 119}),
        replace(good, exit_status=-11),
    ]
    for result in bad:
        assert len(result.problems) == 1
        assert result.line().startswith(f"soak FAILED: {result.problems[0]}")
