# SPDX-License-Identifier: Apache-2.0
"""Does the node stay as it is for hours? Loops a video through it and watches memory and losses.

    python3 -m tools.environment dev -- python -m benchmarks.soak --json soak.json

20 minutes at 30 Hz; camera and listener in this process, the node in one of its own. It wants a
quiet machine, or one that gives it real-time priority (`chrt -f 30` before `python`): 33 ms
without a processor, once in 20 minutes, are a dropped image. Prints one
line with the verdict; the exit status is 1 when it failed. A run passes when the node's memory
(resident set) at the end is within 3 % of that after the first minute, each image that was sent
has been answered, and the one face of the video has kept its id through all loops.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from headpose_ros.msg import HeadPoseArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from benchmarks.car_video import car_video
from benchmarks.processes import Usage, headpose_node
from benchmarks.soak_result import SAMPLES, Result, Settings
from headpose_core.images.video import VideoReader
from headpose_core.types import Image as Picture
from headpose_ros.images import message_from_image
from tools.demo.network import private_network

_START_S = 120.0  # for the node to load its networks
_REST_S = 30.0  # for the last answers
_PATIENCE_S = 5.0  # for an answer; later it was lost
_FIRST_STAMP_S = 1000


class Loop(Node):
    """A camera that plays `images` over and over, and who listens to what comes of it.

    The stamps go on over the loops, as those of a camera.
    """

    def __init__(self, images: list[Picture], settings: Settings, context: Context) -> None:
        super().__init__("soak", namespace="/soak", context=context)
        self._images, self._settings = images, settings
        self.sent = self.answered = self.without_face = 0
        self.ids: Counter[str] = Counter()
        self.values: dict[str, str] = {}
        self._wait_until = 0.0
        self._image = self.create_publisher(Image, "image", 5)
        qos = QoSProfile(depth=1000)  # nothing is lost here
        self.create_subscription(HeadPoseArray, "head_pose", self._on_heads, qos)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos)

    def is_ready(self) -> bool:
        """Whether the node hears this one and is heard by it."""
        return (
            self.values.get("state") == "active"
            and self.values.get("head_pose_subscribers") == "1"
            and self._image.get_subscription_count() == 1
        )

    def is_answered(self) -> bool:
        """Whether all that was sent has ended, as far as the node tells."""
        ends = sum(self.count(f"images_{end}") for end in ("processed", "dropped", "failed"))
        return ends == self.sent and self.answered == self.count("images_processed")

    def count(self, key: str) -> int:
        """A counter of the node's diagnostics."""
        return int(self.values.get(key, "0"))

    def play(self) -> None:
        self._timer = self.create_timer(1.0 / self._settings.rate_hz, self._send)

    def stop(self) -> None:
        self._timer.cancel()

    def _send(self) -> None:
        now = time.monotonic()
        if self._settings.paced and now < self._wait_until:
            return
        self._wait_until = now + _PATIENCE_S
        stamp_ns = _FIRST_STAMP_S * 10**9 + round(self.sent * 1e9 / self._settings.rate_hz)
        header = Header(frame_id="camera_optical_frame")
        header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 10**9)
        image = self._images[self.sent % len(self._images)]
        self._image.publish(message_from_image(image, header))
        self.sent += 1

    def _on_heads(self, message: HeadPoseArray) -> None:
        self.answered += 1
        self._wait_until = 0.0
        self.without_face += not message.heads
        self.ids.update(head.face_id for head in message.heads)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith("soak/headpose"):
                self.values = {pair.key: pair.value for pair in status.values}


def soak(video: Path, settings: Settings, context: Context) -> Result:
    """Run the node for so long. Raises RuntimeError when it does not start or ends by itself."""
    loop = Loop([image for _, image in VideoReader(video)], settings, context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(loop)
    parameters = ["-p", f"model:={settings.model}"] if settings.model else []
    with headpose_node("-r", "__ns:=/soak", *parameters) as node:

        def spin(seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
            end = time.monotonic() + seconds
            while not (done := until()) and (left := end - time.monotonic()) > 0:
                executor.spin_once(timeout_sec=min(left, 0.1))
                if node.poll() is not None:
                    raise RuntimeError(f"the node ended by itself with status {node.returncode}")
            return done

        try:
            if not spin(_START_S, loop.is_ready):
                raise RuntimeError(f"the node was not ready after {_START_S:.0f} s: {loop.values}")
            loop.play()
            spin(settings.settle_s - SAMPLES)
            settled = watch(node.pid, spin)
            spin(settings.seconds - settings.settle_s - SAMPLES)
            end = watch(node.pid, spin)
            loop.stop()
            spin(_REST_S, loop.is_answered)
            node.send_signal(signal.SIGINT)
            status = node.wait(60)
        finally:
            executor.shutdown()
            loop.destroy_node()
    return Result(
        settings=settings,
        sent=loop.sent,
        lost=loop.sent - loop.count("images_in"),
        dropped=loop.count("images_dropped"),
        failed=loop.count("images_failed"),
        answered=loop.answered,
        without_face=loop.without_face,
        ids=dict(loop.ids),
        settled=settled,
        end=end,
        exit_status=status,
    )


def watch(pid: int, spin: Callable[[float], bool]) -> Usage:
    """The medians of samples that are a second apart."""
    samples = []
    for _ in range(SAMPLES):
        spin(1.0)
        samples.append(Usage.of(pid))
    return Usage(
        statistics.median(s.memory_mb for s in samples),
        statistics.median_low(s.threads for s in samples),
        statistics.median_low(s.open_files for s in samples),
    )


def main() -> int:
    default = Settings()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=default.seconds)
    parser.add_argument(
        "--settle", type=float, default=default.settle_s, help="s, then memory counts"
    )
    parser.add_argument("--rate", type=float, default=default.rate_hz, help="images per second")
    parser.add_argument("--paced", action="store_true", help="wait for each answer")
    parser.add_argument("--model", default="", help="of the node; the shipped one if not given")
    parser.add_argument("--json", type=Path, help="file for the result")
    given = parser.parse_args()
    try:
        settings = Settings(given.seconds, given.settle, given.rate, given.paced, given.model)
    except ValueError as error:
        parser.error(str(error))
    os.environ |= private_network()
    context = Context()
    context.init()
    try:
        result = soak(car_video(), settings, context)
    finally:
        context.try_shutdown()
    if given.json:
        told = asdict(result) | {"growth": result.growth, "problems": result.problems}
        given.json.write_text(json.dumps(told, indent=2) + "\n")
    print(result.line())
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
