# SPDX-License-Identifier: Apache-2.0
"""More images than can be processed; subscribers that do not keep up."""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from headpose_core.runtime import HeadPoseModel
from tests.ros.graph import NodeProcess, Probe, image_message

DEAF = """
import rclpy
from headpose_ros.msg import HeadPoseArray
from visualization_msgs.msg import MarkerArray
rclpy.init()
node = rclpy.create_node("deaf", namespace="{namespace}")
node.create_subscription(HeadPoseArray, "head_pose", print, 5)
node.create_subscription(MarkerArray, "head_pose/markers", print, 5)
rclpy.spin(node)
"""


class Gate:
    """Holds the pose network up: `begun` when it is in work, goes on with `opened`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.opened = threading.Event(), threading.Event()
        infer = HeadPoseModel.infer

        def infer_slowly(model: HeadPoseModel, crops: np.ndarray) -> np.ndarray:
            self.begun.set()
            assert self.opened.wait(60)
            return infer(model, crops)

        monkeypatch.setattr(HeadPoseModel, "infer", infer_slowly)


def test_when_images_come_too_fast_the_newest_wins_and_the_others_are_counted(
    inside: Callable[..., Any],
    probe: Probe,
    astronaut: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So none waits longer than the one before it takes: under two processing times in all."""
    inside()
    gate = Gate(monkeypatch)
    probe.until_ready()
    sent = [image_message(astronaut, number) for number in range(4)]
    probe.send(sent[0])
    probe.until(gate.begun.is_set, "the first image is in work")
    for count, message in enumerate(sent[1:], 2):
        probe.send(message)
        probe.until_values(images_in=count, images_processed=0)
    gate.opened.set()
    probe.until(lambda: len(probe.poses) == 2, "two answers")
    assert [pose.header for pose in probe.poses] == [sent[0].header, sent[3].header]
    values = probe.until_values(images_processed=2)
    assert (values["images_in"], values["images_dropped"]) == ("4", "2")


def test_nothing_comes_when_the_node_was_deactivated(
    inside: Callable[..., Any],
    probe: Probe,
    astronaut: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The image that was in work is dropped, and the next one after activating is not."""
    inside()
    gate = Gate(monkeypatch)
    probe.until_ready()
    probe.send(image_message(astronaut, 0))
    probe.until(gate.begun.is_set, "the image is in work")
    assert probe.change_state("deactivate")
    gate.opened.set()
    probe.until_values(images_dropped=1, state="inactive")
    assert probe.change_state("activate")
    probe.until_ready()
    answer = probe.ask(image_message(astronaut, 1))
    assert probe.poses == [answer]
    assert len(answer.heads) == 1


def test_a_subscriber_that_never_reads_slows_nothing(
    start: Callable[..., NodeProcess], probe: Probe, astronaut: np.ndarray
) -> None:
    start(probe.namespace)
    code = DEAF.format(namespace=probe.namespace)
    deaf = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    small = np.ascontiguousarray(astronaut[20:220, 120:320])

    def ask(numbers: range) -> float:
        """Median time in seconds until the answer."""
        times = []
        for number in numbers:
            before = time.monotonic()
            assert len(probe.ask(image_message(small, number)).heads) == 1
            times.append(time.monotonic() - before)
        return statistics.median(times)

    try:
        probe.until_ready()
        probe.until_values(head_pose_subscribers=2)
        hearing = ask(range(30))
        deaf.send_signal(signal.SIGSTOP)
        assert ask(range(30, 90)) < 5 * hearing  # a writer that waits takes 100 ms each
    finally:
        deaf.kill()
        deaf.wait()
    assert probe.until_values(images_processed=90)["images_dropped"] == "0"
