# SPDX-License-Identifier: Apache-2.0
"""Images made by chance: every encoding, size, step, byte order and amount of data, odd stamps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from sensor_msgs.msg import Image

from headpose_core.errors import ImageError
from headpose_core.images.image_messages import ENCODINGS, image_from_message
from tests.ros.graph import NodeProcess, Probe, image_message

Start = Callable[..., NodeProcess]

UNKNOWN = ("", "RGB8", "32FC1", "64FC4", "jpeg", "rgb8\n", "../etc", "bayer_rggb12", "\u00e9" * 50)
MOST = 2**32 - 1
COUNTED = 15  # bad images of which each is seen to be counted: that takes a second
SECONDS = (-1, 0, -(2**31), 2**31 - 1)  # of stamps


def fuzzed(random: np.random.Generator) -> Image:
    """An image that fits together, of which up to two things are then changed."""
    name = str(random.choice([*ENCODINGS]))
    encoding = ENCODINGS[name]
    width, height = (int(n) for n in random.integers(0, 97, 2))
    rows = height * encoding.rows // 2
    step = width * encoding.channels * encoding.bits // 8 + int(random.choice([0, 0, 1, 16]))
    message = Image(
        width=width,
        height=height,
        encoding=name,
        step=step,
        is_bigendian=int(random.integers(0, 2)),
        data=random.bytes(rows * step),
    )
    changes: dict[str, Callable[[], object]] = {
        "encoding": lambda: str(random.choice([*ENCODINGS, *UNKNOWN])),
        "width": lambda: int(random.choice([0, 1, width + 1, 2 * width, MOST])),
        "height": lambda: int(random.choice([0, 1, height + 1, 2 * height, MOST])),
        "step": lambda: int(random.choice([0, 1, max(step - 1, 0), step + 1, MOST])),
        "is_bigendian": lambda: int(random.choice([0, 1, 2, 255])),
        "data": lambda: random.bytes(int(random.choice([0, 1, max(rows * step - 1, 0), 10_000]))),
    }
    for what in random.choice([*changes], random.integers(0, 3), replace=False):
        setattr(message, what, changes[what]())
    return message


def memory_mb(node: NodeProcess) -> float:
    """Resident set of its process."""
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def is_image(message: Image) -> bool:
    """Whether it can be converted. Nothing but an ImageError may say that it cannot."""
    try:
        image = image_from_message(message)
    except ImageError as error:
        assert str(error).startswith("image ")
        return False
    assert image.shape == (message.height, message.width, 3)
    assert image.dtype == np.uint8
    return True


@pytest.fixture
def node(start: Start, probe: Probe) -> Iterator[NodeProcess]:
    """That takes every image, in their order."""
    topic = f"qos_overrides.{probe.namespace}/image.subscription"
    reliable = ("-p", f"{topic}.reliability:=reliable", "-p", f"{topic}.depth:=100")
    node = start(probe.namespace, arguments=reliable)
    probe.until_ready()
    yield node
    assert node.end() == 0
    assert "Traceback" not in node.output()


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.long)])
def test_images_by_chance(
    node: NodeProcess, probe: Probe, astronaut: np.ndarray, count: int
) -> None:
    """Each error is counted once, the next good image gives a pose, and no memory stays."""
    face = cv2.resize(astronaut[20:220, 120:320], (96, 96), interpolation=cv2.INTER_AREA)
    random = np.random.default_rng(20221)
    bad = good = 0
    memory = []
    for number in range(count):
        message = fuzzed(random)
        message.header = image_message(face, 2 * number).header
        if number % 10 == 0:
            message.header.stamp.sec = SECONDS[number // 10 % len(SECONDS)]
        if is_image(message):
            good += 1
            assert probe.ask(message).header == message.header
        else:
            bad += 1
            probe.send(message)
            if bad <= COUNTED:
                probe.until_values(images_failed=bad)
            probe.state()  # by the time of the answer the image has been looked at, mostly
        answer = probe.ask(image_message(face, 2 * number + 1))
        assert len(answer.heads) == 1
        if number in (count // 5, count - 1):
            memory.append(memory_mb(node))
    assert bad > count / 4
    assert good > count / 4
    values = probe.until_values(images_in=count + good + bad)
    processed, failed, dropped = (
        int(values[f"images_{end}"]) for end in ("processed", "failed", "dropped")
    )
    assert processed == count + good
    assert failed + dropped == bad  # one not yet begun when the next one comes is dropped
    assert failed > bad / 10
    assert memory[1] < 1.05 * memory[0]
