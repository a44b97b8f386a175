# SPDX-License-Identifier: Apache-2.0
"""A near-infrared camera of 12 bits: its faces are found, and it is said once."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from sensor_msgs.msg import Image

from tests.ros.graph import NodeProcess, Probe, image_message


def deep(image: np.ndarray, number: int, shift: int) -> Image:
    """A grey image as mono16, its 8 bits moved up by so many."""
    message = image_message(image, number)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype("<u2")
    message.encoding, message.step, message.data = "mono16", 1024, (grey << shift).tobytes()
    return message


def test_images_of_12_bits(
    start: Callable[..., NodeProcess], probe: Probe, astronaut: np.ndarray
) -> None:
    node = start(probe.namespace)
    probe.until_ready()
    sentence = "the 16-bit images use 12 bits: 4095 is taken for white"
    for number, shift in enumerate((4, 4, 3)):
        assert len(probe.ask(deep(astronaut, number, shift)).heads) == 1
    probe.until(lambda: sentence in node.output(), "the bits in the log")
    assert node.output().count("bits") == 1
    assert node.end() == 0
