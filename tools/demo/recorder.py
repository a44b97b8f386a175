# SPDX-License-Identifier: Apache-2.0
"""The recorder of the demo: a node that keeps what headpose publishes."""

from __future__ import annotations

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from headpose_ros.msg import HeadPose, HeadPoseArray
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from headpose_core.geometry.rotation import matrix_from_angles, orientation_covariance
from headpose_core.messages.heads import seconds
from headpose_core.types import Head


class Recorder(Node):
    """Listens to `head_pose`, /tf and /diagnostics.

    heads: of each message, by the stamp of its image. latencies_ms: from the stamp of the image
    to the arrival of its message here. values: the newest diagnostics of headpose.
    """

    def __init__(self) -> None:
        super().__init__("recorder")
        self.heads: dict[float, list[Head]] = {}
        self.latencies_ms: list[float] = []
        self.transforms = 0
        self.values: dict[str, str] = {}
        self._last_news = time.monotonic()
        self.create_subscription(TFMessage, "/tf", self._on_tf, 100)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.create_subscription(HeadPoseArray, "head_pose", self._on_poses, 100)

    def count(self, key: str) -> int:
        """A counter of the node's diagnostics."""
        return int(self.values.get(key, "0"))

    def is_complete(self) -> bool:
        """Whether each image that the node got has ended, and all it made of them is here."""
        ends = sum(map(self.count, ("images_processed", "images_dropped", "images_failed")))
        return ends == self.count("images_in") and len(self.heads) == self.count(
            "images_processed"
        )

    def quiet_s(self) -> float:
        """Seconds since something new came."""
        return time.monotonic() - self._last_news

    def _on_poses(self, message: HeadPoseArray) -> None:
        now = self.get_clock().now().nanoseconds * 1e-9
        stamp = seconds(message.header.stamp)
        self.heads[stamp] = [head_from_message(head) for head in message.heads]
        self.latencies_ms.append((now - stamp) * 1e3)
        self._last_news = time.monotonic()

    def _on_tf(self, message: TFMessage) -> None:
        self.transforms += len(message.transforms)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if values.get("state") != self.values.get("state"):
                self._last_news = time.monotonic()
            self.values = values


def head_from_message(message: HeadPose) -> Head:
    """The head that a message tells of, about its viewing ray, as one sees it in the image."""
    roi = message.roi
    x, y = roi.x_offset, roi.y_offset
    angles_deg, std_deg = np.array(message.paper_angles), np.degrees(message.stddev)
    return Head(
        box=np.array([x, y, x + roi.width, y + roi.height], np.float32),
        score=message.face_score,
        paper_angles_deg=angles_deg,
        std_deg=std_deg,
        extrapolated=message.extrapolated,
        rotation=matrix_from_angles(angles_deg),
        ray_rotation=np.eye(3),
        covariance=orientation_covariance(angles_deg, std_deg),
        position=np.array([message.position.x, message.position.y, message.position.z]),
        position_covariance=np.reshape(message.position_covariance, (3, 3)),
        perspective_corrected=False,
        face_id=message.face_id,
        track_age=message.track_age,
    )
