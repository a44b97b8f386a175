# SPDX-License-Identifier: Apache-2.0
"""The nodes around the one that is measured: a camera, a listener, a subscriber without work."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, cast

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from headpose_ros.msg import HeadPoseArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from benchmarks.car_video import car_video
from benchmarks.processes import REPOSITORY
from headpose_core.images.video import VideoReader
from headpose_core.messages.heads import seconds
from headpose_core.types import Image as Picture
from headpose_ros.images import message_from_image
from headpose_ros.qos import newest_only

SIZES = {"480p": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
KINDS = [f"{size}{rate}{how}" for how in ("raw", "jpeg") for size in SIZES for rate in (30, 60)]
PATIENCE_S = 30.0
NODES, ALONE = "/", "/alone"  # namespaces: the node does not hear what is for the empty subscriber


@dataclass(frozen=True)
class Kind:
    """What a camera sends: images of a size, so many a second, raw or as JPEG."""

    size: tuple[int, int]
    rate_hz: int
    compressed: bool

    @classmethod
    def read(cls, text: str) -> Kind:
        """Of a text like 720p30raw. ValueError for another."""
        found = re.fullmatch(r"(\d+p)(\d+)(raw|jpeg)", text)
        if not found or found[1] not in SIZES:
            raise ValueError(f"expected a kind like {', '.join(KINDS[:3])}, got '{text}'")
        return cls(SIZES[found[1]], int(found[2]), found[3] == "jpeg")


class Camera(Node):
    """Sends the same picture with one face again and again, each time with a new stamp."""

    def __init__(self, kind: Kind, namespace: str) -> None:
        super().__init__("camera", namespace=namespace)
        picture = cv2.resize(first_picture(), kind.size, interpolation=cv2.INTER_CUBIC)
        image = np.asarray(picture, np.uint8)
        if kind.compressed:
            _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
            self._message: Any = CompressedImage(format="jpeg", data=data.tobytes())
        else:
            self._message = message_from_image(image, Header())
            self._message.encoding = "bgr8"  # as most cameras; which colour it is does not matter
        topic = "image/compressed" if kind.compressed else "image"
        self._publisher = self.create_publisher(type(self._message), topic, newest_only())

    def send(self) -> None:
        """An image of now."""
        self._message.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(self._message)

    def run(self, rate_hz: float, duration_s: float) -> int:
        """Send for so long, once somebody listens. Returns how many."""
        until(self._publisher.get_subscription_count, "a subscriber to the images")
        time.sleep(0.5)
        count = round(rate_hz * duration_s)
        start = time.monotonic()
        for number in range(count):
            time.sleep(max(start + number / rate_hz - time.monotonic(), 0))
            self.send()
        return count


class Listener(Node):
    """Notes how old messages are when they come; `kind` is of messages with a header."""

    def __init__(
        self, name: str, kind: Any, topic: str, qos: QoSProfile | int, namespace: str = ""
    ) -> None:
        super().__init__(name, namespace=namespace)
        self.ages_ms: list[float] = []
        self._source = self.create_subscription(kind, topic, self._take, qos)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    def serve(self, duration_s: float) -> None:
        """Take what comes within this time."""
        end = time.monotonic() + duration_s
        while (left := end - time.monotonic()) > 0 and rclpy.ok():
            self._executor.spin_once(timeout_sec=left)

    def _take(self, message: Any) -> None:
        now = self.get_clock().now().nanoseconds * 1e-9
        self.ages_ms.append((now - seconds(message.header.stamp)) * 1e3)


class NodeListener(Listener):
    """Hears the heads that the node finds, and what it tells of itself."""

    def __init__(self) -> None:
        super().__init__("listener", HeadPoseArray, "head_pose", 100)
        self._facts: dict[str, str] = {}
        self.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnostics, 1)

    def facts(self) -> dict[str, str]:
        """The next diagnostics of the node, which come once a second."""
        self._facts = {}

        def heard() -> bool:
            self.serve(0.05)
            return bool(self._facts)

        until(heard, "diagnostics of the node")
        return self._facts

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._facts = {pair.key: pair.value for pair in status.values}


class Role(NamedTuple):
    """A process in a role of its own, and what goes into it and comes out of it."""

    process: subprocess.Popen[str]
    into: IO[str]
    out: IO[str]


@contextmanager
def in_role(*arguments: str) -> Iterator[Role]:
    """`play` in a process of its own; it must end by itself in the block."""
    command = [sys.executable, "-m", "benchmarks.latency_roles", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Role(process, cast(IO[str], process.stdin), cast(IO[str], process.stdout))
            process.wait(PATIENCE_S)  # a participant that is killed disturbs the others for long
        finally:
            process.kill()


def play(role: str, kind: str, *arguments: str) -> None:
    """`camera KIND SECONDS NAMESPACE` or `empty KIND`."""
    rclpy.init(args=[])
    if role == "camera":
        duration_s, namespace = arguments
        play_camera(Kind.read(kind), float(duration_s), namespace)
    else:
        play_empty(Kind.read(kind))
    rclpy.shutdown()


def play_camera(kind: Kind, duration_s: float, namespace: str) -> None:
    """The role of the camera: prints how many images it sent."""
    print(Camera(kind, namespace).run(kind.rate_hz, duration_s), flush=True)


def play_empty(kind: Kind) -> None:
    """The role of the subscriber that does nothing: prints the ages of all images when told to."""
    topic = ("image/compressed", CompressedImage) if kind.compressed else ("image", Image)
    listener = Listener("empty", topic[1], topic[0], newest_only(), ALONE)
    thread = threading.Thread(target=sys.stdin.readline)
    thread.start()
    print("listening", flush=True)
    while thread.is_alive():
        listener.serve(0.2)
    print(json.dumps(listener.ages_ms), flush=True)


def first_picture() -> Picture:
    """The first image of the video, (H, W, 3) uint8 RGB."""
    return next(image for _, image in VideoReader(car_video()))


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until it holds. Raises RuntimeError when it does not for long."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"expected {what} within {PATIENCE_S:.0f} s, nothing came")
        time.sleep(0.02)


if __name__ == "__main__":
    play(*sys.argv[1:])
