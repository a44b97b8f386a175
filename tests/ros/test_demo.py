# SPDX-License-Identifier: Apache-2.0
"""The demo as a user runs it, on a small model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from tests.places import REPOSITORY

pytest.importorskip("rclpy", reason="needs ROS 2")

PATIENCE_S = 120.0


def demo(model: Path, out: Path, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tools.demo", "--model", str(model), "--out", str(out)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, text=True, **options
    )


def test_demo(car_video: Path, tiny_model_file: Path, tmp_path: Path) -> None:
    process = demo(tiny_model_file, tmp_path, stdout=subprocess.PIPE)
    told, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    for row in ("frames sent", "frames dropped", "latency", "asked auto, got cpu"):
        assert row in told
    lines = [json.loads(line) for line in (tmp_path / "poses.jsonl").read_text().splitlines()]
    assert 100 < len(lines) <= 120  # a busy machine may lose some
    stamps = [line["stamp"] for line in lines]
    assert stamps == sorted(set(stamps))
    head = lines[0]["heads"][0]
    assert {"face_id", "box", "direction", "rep103_deg", "paper_deg", "paper_std_deg"} <= head.keys()
    assert len(head["box"]) == 4
    video = cv2.VideoCapture(os.fspath(tmp_path / "annotated.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 120
    assert video.get(cv2.CAP_PROP_FRAME_HEIGHT) >= 480
    assert cv2.imread(os.fspath(tmp_path / "angles.png")) is not None


def test_demo_without_a_model_fails_and_says_so(car_video: Path, tmp_path: Path) -> None:
    process = demo(tmp_path / "none.onnx", tmp_path, stderr=subprocess.PIPE)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "none.onnx" in told


def children(parent: int) -> set[int]:
    """The processes that the main thread of a process has started."""
    return set(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))


def is_running(pid: int) -> bool:
    """Not a zombie either, that only waits for a parent to ask for its status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_demo_leaves_no_process_behind(
    car_video: Path, tiny_model_file: Path, tmp_path: Path, sign: signal.Signals
) -> None:
    process = demo(tiny_model_file, tmp_path)
    end = time.monotonic() + PATIENCE_S
    while len(started := children(process.pid)) < 2:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(sign)
    assert process.wait(PATIENCE_S) == {signal.SIGKILL: -signal.SIGKILL}.get(sign, 130)
    while any(map(is_running, started)):
        assert time.monotonic() < end, f"still running: {started}"
        time.sleep(0.05)
