# SPDX-License-Identifier: Apache-2.0
"""More images than can be processed; subscribers that do not keep up."""

from __future__ import annotations

import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from headpose_ros.msg import HeadPoseArray

from tests.ros import faulty_node
from tests.ros.graph import NodeProcess, Probe, image_message
from tools.demo.network import end_in_peace

Start = Callable[..., NodeProcess]

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
    """Holds the pose network of a node up: it has `begun`, and goes on with `open`."""

    def __init__(self, start: Start, probe: Probe, folder: Path, **parameters: object) -> None:
        self._folder = folder
        self.node = start(
            probe.namespace, command=faulty_node.command(faulty_node.gated, folder), **parameters
        )
        probe.until_ready()

    def begun(self) -> bool:
        return (self._folder / "begun").exists()

    def open(self) -> None:
        (self._folder / "open").touch()


def test_latency_stays_under_two_processing_times(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    """At 20 Hz, when an image takes as long as eight come in: what queued would be ever later."""
    node = start(probe.namespace, command=faulty_node.command(faulty_node.slow, 0.4))
    small = np.ascontiguousarray(astronaut[20:220, 120:320])
    sent_s: dict[int, float] = {}
    latencies_s: list[float] = []

    def measure(answer: HeadPoseArray) -> None:
        latencies_s.append(time.monotonic() - sent_s[answer.header.stamp.nanosec])

    probe.node.create_subscription(HeadPoseArray, "head_pose", measure, 10)
    probe.until_ready()
    probe.until_values(head_pose_subscribers=2)
    for number in range(80):
        message = image_message(small)
        message.header.stamp.nanosec = number
        sent_s[number] = time.monotonic()
        probe.send(message)
        probe.until(lambda due_s=sent_s[number] + 0.05: time.monotonic() > due_s, "the next one")

    def counts() -> list[int]:
        return [int(probe.values()[f"images_{end}"]) for end in ("in", "dropped", "processed")]

    def all_came() -> bool:
        came, dropped, processed = counts()
        return came == dropped + processed and processed == len(latencies_s)

    probe.until(all_came, "an answer for each image that was not dropped")
    took = [float(seconds) for seconds in re.findall(r"^took (\S+)$", node.output(), re.MULTILINE)]
    assert len(took) == len(latencies_s)
    assert statistics.median(latencies_s) < 2 * statistics.median(took)
    _, dropped, processed = counts()
    assert dropped > processed >= 3


def test_an_inference_that_hangs_is_said(
    start: Start, probe: Probe, astronaut: np.ndarray, tmp_path: Path
) -> None:
    """Before it ends, if it ever does."""
    gate = Gate(start, probe, tmp_path, latency_grace=0.0)
    probe.send(image_message(astronaut))
    probe.until(gate.begun, "the image is in work")
    probe.until(lambda: probe.status.level == b"\x02", "an error")
    assert probe.status.message.startswith("an image has taken ")
    assert probe.values()["is_processing_time_ms_in_expected_range"] == "False"
    assert probe.values()["images_processed"] == "0"
    gate.open()
    probe.until_values(images_processed=1)


def test_of_too_many_images_the_newest_wins_others_are_counted(
    start: Start, probe: Probe, astronaut: np.ndarray, tmp_path: Path
) -> None:
    """So none waits longer than the one before it takes: under two processing times in all."""
    gate = Gate(start, probe, tmp_path)
    sent = [image_message(astronaut, number) for number in range(4)]
    probe.send(sent[0])
    probe.until(gate.begun, "the first image is in work")
    for count, message in enumerate(sent[1:], 2):
        probe.send(message)
        probe.until_values(images_in=count, images_processed=0)
    gate.open()
    probe.until(lambda: len(probe.poses) == 2, "two answers")
    assert [pose.header for pose in probe.poses] == [sent[0].header, sent[3].header]
    values = probe.until_values(images_processed=2)
    assert (values["images_in"], values["images_dropped"]) == ("4", "2")


def test_nothing_comes_when_the_node_was_deactivated(
    start: Start, probe: Probe, astronaut: np.ndarray, tmp_path: Path
) -> None:
    """The image that was in work is dropped, and the next one after activating is not."""
    gate = Gate(start, probe, tmp_path)
    probe.send(image_message(astronaut, 0))
    probe.until(gate.begun, "the image is in work")
    assert probe.change_state("deactivate")
    gate.open()
    probe.until_values(images_dropped=1, state="inactive")
    assert probe.change_state("activate")
    probe.until_ready()
    answer = probe.ask(image_message(astronaut, 1))
    assert probe.poses == [answer]
    assert len(answer.heads) == 1


def test_nothing_comes_late_when_the_node_was_activated_again(
    start: Start, probe: Probe, astronaut: np.ndarray, tmp_path: Path
) -> None:
    """The image that was in work all the time is of before, and dropped."""
    gate = Gate(start, probe, tmp_path)
    probe.send(image_message(astronaut, 0))
    probe.until(gate.begun, "the image is in work")
    assert probe.change_state("deactivate")
    assert probe.change_state("activate")
    probe.until_ready()
    probe.send(image_message(astronaut, 1))
    probe.until_values(images_in=2, images_processed=0)
    gate.open()
    probe.until_values(images_dropped=1, images_processed=1)
    probe.until(lambda: probe.poses, "the answer")
    assert [pose.header for pose in probe.poses] == [image_message(astronaut, 1).header]


def test_ending_waits_once_for_an_inference_that_hangs(
    start: Start, probe: Probe, astronaut: np.ndarray, tmp_path: Path
) -> None:
    gate = Gate(start, probe, tmp_path)
    probe.send(image_message(astronaut))
    probe.until(gate.begun, "the image is in work")
    before_s = time.monotonic()
    assert probe.change_state("active_shutdown")
    assert time.monotonic() - before_s < 2 * faulty_node.LONGEST_S
    gate.open()


def test_a_subscriber_that_never_reads_slows_nothing(
    start: Start, probe: Probe, astronaut: np.ndarray
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
        deaf.send_signal(signal.SIGCONT)
        end_in_peace(deaf)
    assert probe.until_values(images_processed=90)["images_dropped"] == "0"
