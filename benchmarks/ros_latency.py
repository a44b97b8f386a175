# SPDX-License-Identifier: Apache-2.0
"""From an image that is published to its heads on `head_pose`, over real DDS, three processes.

    python -m benchmarks.ros_latency [--seconds 5] [--json FILE] [--kinds 720p30raw ...]

First how long the node takes from the start of its process to its first heads. Then for each kind
of image: latency, processor time, what was lost on the way and what the node dropped; the same, in
a run of its own, of a subscriber in its place that does nothing. Needs the environment of
`make demo`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from argparse import RawDescriptionHelpFormatter as RawText
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from headpose_ros.msg import HeadPoseArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from benchmarks.car_video import car_video
from headpose_core.images.video import VideoReader
from headpose_ros.images import message_from_image
from headpose_ros.messages import seconds
from headpose_ros.qos import newest_only
from tools.demo.network import private_network

REPO = Path(__file__).resolve().parents[1]
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
        image = cv2.resize(first_picture(), kind.size, interpolation=cv2.INTER_CUBIC)
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

    def __init__(self, name: str, kind: type, topic: str, qos: Any, namespace: str = "") -> None:
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
        until(lambda: self.serve(0.05) or self._facts, "diagnostics of the node")
        return self._facts

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._facts = {pair.key: pair.value for pair in status.values}


@dataclass(frozen=True)
class Measured:
    """What became of the images of one run.

    arrived: the node's answers, or what the empty subscriber heard. lost: what DDS did not bring,
    or overwrote before it was taken. dropped: by the node, for newer ones. Latencies in ms, from
    the stamp to the arrival; processor time in percent of one core; memory in use at the end, in
    1e6 bytes.
    """

    sent: int
    arrived: int
    lost: int
    dropped: int
    p50: float
    p95: float
    p99: float
    cpu_percent: float
    memory_mb: float

    @classmethod
    def of(
        cls, sent: int, came: int, dropped: int, ages_ms: Sequence[float], cpu: float, pid: int
    ) -> Measured:
        """Of the ages of what arrived, and of the process that took ``cpu`` percent meanwhile."""
        ages = np.percentile(ages_ms, (50, 95, 99)) if len(ages_ms) else np.full(3, np.nan)
        counts = (sent, len(ages_ms), sent - came, dropped)
        return cls(*counts, *ages.tolist(), cpu, memory_mb(pid))


def measure_start(options: Sequence[str]) -> dict[str, Any]:
    """Start the node beside a camera of 720p and 30 Hz.

    Returns what it runs, "first_pose_s" from the start of its process to its first heads, to a
    thirtieth of a second, and "rss_mb" after 60 of them: its memory in 1e6 bytes.
    """
    camera, listener = Camera(Kind.read("720p30raw"), NODES), NodeListener()

    def heads() -> int:
        camera.send()
        listener.serve(0.01)  # `until` sleeps as well
        return len(listener.ages_ms)

    start = time.monotonic()
    with headpose_node("raw", options) as pid:
        until(heads, "heads of the node")
        first_pose_s = time.monotonic() - start
        until(lambda: heads() >= 60, "60 heads of the node")
        measured = {"first_pose_s": first_pose_s, "rss_mb": memory_mb(pid)}
        facts = listener.facts()
    until(lambda: not listener.count_subscribers("image"), "the node to be gone")
    camera.destroy_node()
    listener.destroy_node()
    return {name: facts[name] for name in ("model", "backend", "device", "precision")} | measured


def measure_node(pid: int, listener: NodeListener, kind: str, duration_s: float) -> Measured:
    """A camera against the node of this process id; `listener` hears what it publishes."""
    earlier = listener.facts()
    listener.ages_ms.clear()
    before = processor_s(pid)
    with child("camera", kind, str(duration_s), NODES) as camera:
        while camera.poll() is None:
            listener.serve(0.2)
        listener.serve(0.5)
        sent = int(camera.stdout.read())
    cpu = 100 * (processor_s(pid) - before) / duration_s
    later = listener.facts()
    came, dropped = (int(later[k]) - int(earlier[k]) for k in ("images_in", "images_dropped"))
    return Measured.of(sent, came, dropped, listener.ages_ms, cpu, pid)


def measure_empty(kind: str, duration_s: float) -> Measured:
    """A camera against a subscriber that does nothing but look at the clock."""
    with child("empty", kind) as empty:
        empty.stdout.readline()  # it listens
        before = processor_s(empty.pid)
        with child("camera", kind, str(duration_s), ALONE) as camera:
            sent = int(camera.communicate(timeout=PATIENCE_S + duration_s)[0])
        time.sleep(0.5)
        cpu = 100 * (processor_s(empty.pid) - before) / duration_s
        empty.stdin.write("\n")
        empty.stdin.flush()
        ages_ms = json.loads(empty.stdout.readline())
        return Measured.of(sent, len(ages_ms), 0, ages_ms, cpu, empty.pid)


def run_all(kinds: Sequence[str], duration_s: float, options: Sequence[str]) -> dict[str, Any]:
    """Measure all. Returns {"start": ..., "idle": ..., kind: {"node": ..., "empty": ...}}."""
    found: dict[str, Any] = {"start": measure_start(options)}
    for transport in ("raw", "compressed"):
        chosen = [k for k in kinds if Kind.read(k).compressed == (transport == "compressed")]
        if not chosen:
            continue
        listener = NodeListener()
        images = "image" if transport == "raw" else "image/compressed"
        with headpose_node(transport, options) as pid:
            until(partial(listener.count_subscribers, images), "the node to be active")
            if transport == "raw":
                before = processor_s(pid)
                time.sleep(duration_s)
                found["idle"] = {"cpu_percent": 100 * (processor_s(pid) - before) / duration_s}
            for kind in chosen:
                found[kind] = {"node": asdict(measure_node(pid, listener, kind, duration_s))}
                found[kind]["empty"] = asdict(measure_empty(kind, duration_s))
                print(line(kind, found[kind]), flush=True)
        listener.destroy_node()
    return found


def line(kind: str, told: dict[str, Any]) -> str:
    """One kind as a row of the table."""
    node, empty = told["node"], told["empty"]
    busy = f"{node['cpu_percent']:.0f} % of a core, {node['memory_mb']:.0f} MB"
    return (
        f"{kind:<11} {node['sent']:5} sent {node['lost']:4} lost {node['dropped']:4} dropped  "
        f"node {node['p50']:6.1f} {node['p95']:6.1f} {node['p99']:6.1f} ms, {busy}"
        f"  empty {empty['p50']:5.1f} {empty['p95']:5.1f} ms {empty['cpu_percent']:4.0f} %"
        f" {empty['lost']:4} lost"
        f"  over it {node['p50'] - empty['p50']:6.1f} {node['p95'] - empty['p95']:6.1f} ms"
    )


@contextmanager
def headpose_node(transport: str, options: Sequence[str]) -> Iterator[int]:
    """The node as a process; gives its id."""
    command = [sys.executable, "-m", "headpose_ros.headpose_node", "--ros-args"]
    command += ["-p", f"image_transport:={transport}", *options]
    with subprocess.Popen(command, cwd=REPO) as node:
        try:
            yield node.pid
        finally:
            node.send_signal(signal.SIGINT)


@contextmanager
def child(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """This program in another role."""
    command = [sys.executable, "-m", "benchmarks.ros_latency", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=REPO, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
            process.wait(PATIENCE_S)  # a participant that is killed disturbs the others for long
        finally:
            process.kill()


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


def first_picture() -> np.ndarray:
    """The first image of the video, (H, W, 3) uint8 RGB."""
    return next(image for _, image in VideoReader(car_video()))


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until it holds. Raises RuntimeError when it does not for long."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"expected {what} within {PATIENCE_S:.0f} s, nothing came")
        time.sleep(0.02)


def processor_s(pid: int) -> float:
    """Processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """The memory that a process holds, in 1e6 bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024 / 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; with a role in front, one of the other processes."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in ("camera", "empty"):
        rclpy.init(args=[])
        kind = Kind.read(given[1])
        play_empty(kind) if given[0] == "empty" else play_camera(kind, float(given[2]), given[3])
        rclpy.shutdown()
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RawText)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="for the figures")
    parser.add_argument("--kinds", nargs="+", default=KINDS, metavar="KIND", help=" ".join(KINDS))
    parser.add_argument(
        "--parameters", nargs="+", default=[], metavar="NAME:=VALUE", help="of the node"
    )
    args = parser.parse_args(given)
    for kind in args.kinds:
        Kind.read(kind)
    os.environ.update(private_network())
    rclpy.init(args=[])
    options = [word for given in args.parameters for word in ("-p", given)]
    found = run_all(args.kinds, args.seconds, options)
    start = found["start"]
    print(
        f"start: {start['first_pose_s']:.2f} s to the first heads, {start['rss_mb']:.0f} MB "
        f"({start['model']} on {start['backend']}, {start['device']}, {start['precision']})"
    )
    if "idle" in found:
        print(f"idle: {found['idle']['cpu_percent']:.2f} % of a core")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
