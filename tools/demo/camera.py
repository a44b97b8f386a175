# SPDX-License-Identifier: Apache-2.0
"""A camera for the demo: a node that plays a video file once, in real time.

    python -m tools.demo.camera VIDEO SUMMARY.json

It waits until the node that it is for hears it, knows its calibration, and is heard by somebody
itself, so that no image is lost before the graph stands. The calibration is that of an ideal
camera with an assumed field of view.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from headpose_core.images.video import VideoReader
from headpose_ros.images import message_from_image

FRAME = "camera_optical_frame"
# What the node has to say about itself before the first image.
READY = {"state": "active", "calibrated": "True"}


class Camera(Node):
    """Publishes `image` and `camera_info` at `rate_hz`; `summary` gets the stamps at the end."""

    def __init__(self, video: Path, summary: Path, *, rate_hz: float, fov_deg: float) -> None:
        super().__init__("camera")
        self._images = [image for _, image in VideoReader(video)]
        self._summary = summary
        self._fov_deg = fov_deg
        self._stamps: list[float] = []
        self._ready = False
        self._image = self.create_publisher(Image, "image", 10)
        self._info = self.create_publisher(CameraInfo, "camera_info", 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.create_timer(1.0 / rate_hz, self._tick)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            heard = values.get("head_pose_subscribers", "0") != "0"
            told = all(values.get(key) == value for key, value in READY.items())
            self._ready |= heard and told and self._image.get_subscription_count() > 0

    def _tick(self) -> None:
        now = self.get_clock().now()
        header = Header(stamp=now.to_msg(), frame_id=FRAME)
        self._info.publish(self._calibration(header))
        if not self._ready or len(self._stamps) == len(self._images):
            return
        self._image.publish(message_from_image(self._images[len(self._stamps)], header))
        self._stamps.append(header.stamp.sec + header.stamp.nanosec * 1e-9)
        if len(self._stamps) == len(self._images):
            temporary = self._summary.with_suffix(".part")
            temporary.write_text(json.dumps({"stamps": self._stamps}))
            temporary.replace(self._summary)

    def _calibration(self, header: Header) -> CameraInfo:
        height, width = self._images[0].shape[:2]
        focal = width / 2 / math.tan(math.radians(self._fov_deg) / 2)
        info = CameraInfo(header=header, width=width, height=height, distortion_model="plumb_bob")
        x, y = (width - 1) / 2, (height - 1) / 2
        info.k = [focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0]
        info.p = [focal, 0.0, x, 0.0, 0.0, focal, y, 0.0, 0.0, 0.0, 1.0, 0.0]
        info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        info.d = [0.0] * 5
        return info


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("summary", type=Path, help="JSON file, written after the last image")
    parser.add_argument("--rate", type=float, default=30.0, help="images per second")
    parser.add_argument("--fov", type=float, default=60.0, help="assumed, degrees, horizontal")
    arguments = parser.parse_args()
    # Without rclpy's handlers: they may shut down before the executor looks, which then fails.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        camera = Camera(
            arguments.video, arguments.summary, rate_hz=arguments.rate, fov_deg=arguments.fov
        )
        rclpy.spin(camera)
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
