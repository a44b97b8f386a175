# SPDX-License-Identifier: Apache-2.0
"""The example that listens to the topic, in a real graph."""

from __future__ import annotations

import math
import runpy
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from headpose_ros.msg import HeadPose, HeadPoseArray
from rclpy.qos import QoSProfile
from std_msgs.msg import Bool

from tests.places import REPOSITORY
from tests.ros.graph import Probe

EXAMPLE = REPOSITORY / "examples" / "attention_monitor.py"


def heads(stamp_s: float, *yaws: float) -> HeadPoseArray:
    message = HeadPoseArray(heads=[HeadPose(yaw=yaw) for yaw in yaws])
    message.header.stamp.sec = int(stamp_s)
    message.header.stamp.nanosec = round(stamp_s % 1 * 1e9)
    return message


def test_attention_monitor_follows_the_first_face(probe: Probe) -> None:
    """Attentive for two seconds after the last look, whoever else looks."""
    said: list[bool] = []
    probe.node.create_subscription(Bool, "attentive", lambda m: said.append(m.data), 10)
    publisher = probe.node.create_publisher(HeadPoseArray, "head_pose", QoSProfile(depth=5))
    command = [sys.executable, str(EXAMPLE), "--ros-args", "-r", f"__ns:={probe.namespace}"]
    with subprocess.Popen(command) as process:
        try:
            # Again and again: the first answers are lost until the monitor knows this listener.
            probe.until(lambda: publisher.publish(heads(1.0)) or said, "an answer")
            assert not any(said)
            publisher.publish(heads(2.0, 0.1))
            probe.until(lambda: said[-1], "the look is seen")
            said.clear()
            away = math.radians(50.0)
            sent = [heads(3.0, away, 0.0), heads(4.5, away), heads(5)]
            for count, message in enumerate(sent, 1):
                publisher.publish(message)
                probe.until(lambda count=count: len(said) >= count, "an answer")
        finally:
            process.terminate()
            try:
                status = process.wait(timeout=30.0)
            finally:
                process.kill()  # or leaving the block would wait for good
    assert said == [True, False, False]
    assert status == 0


def test_it_is_as_short_as_the_page_says() -> None:
    names = runpy.run_path(str(EXAMPLE))
    assert names["AttentionMonitor"]
    text = EXAMPLE.read_text()
    body = text[text.index("class ") : text.index("def main")]
    assert len([line for line in body.splitlines() if line.strip()]) <= 20
