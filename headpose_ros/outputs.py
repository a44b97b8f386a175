# SPDX-License-Identifier: Apache-2.0
"""What the node publishes for an image."""

from __future__ import annotations

import math

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from headpose_core.images.image_view import ImageView
from headpose_core.messages.frame_messages import (
    DEBUG_IMAGE,
    HEAD_POSE,
    MARKERS,
    TF,
    TYPES,
    FrameMessages,
)
from headpose_core.types import Frame
from headpose_ros.hri import HriOutputs
from headpose_ros.messages import age_ms, make, message_class
from headpose_ros.qos import newest_only, overridable

_LAZY = (MARKERS, DEBUG_IMAGE)  # made only while somebody subscribes


class Outputs:
    """The publishers for heads; they exist while the node is configured.

    publish_hri: the topics of REP-155 as well. Raises ImportError when hri_msgs is missing then,
    RuntimeError for a qos_overrides parameter that is none.
    """

    def __init__(self, node: Node, *, publish_hri: bool = False) -> None:
        self._node = node
        self._publishers: dict[str, Publisher] = {}
        self._hri = HriOutputs(node) if publish_hri else None
        qualities: dict[str, QoSProfile | int] = {HEAD_POSE: 5, TF: 100, MARKERS: 5}
        qualities[DEBUG_IMAGE] = newest_only()
        try:
            for topic, quality in qualities.items():
                self._publishers[topic] = node.create_publisher(
                    message_class(TYPES[topic]),
                    topic,
                    quality,
                    qos_overriding_options=overridable(),
                )
        except Exception:
            self.destroy()
            raise
        self._messages = FrameMessages(make)

    def publish(self, frame: Frame, view: ImageView, header: Header, *, with_tf: bool) -> None:
        """Send the heads in an image under its own `header`."""
        if (
            with_tf
            and not header.frame_id
            and np.isfinite([h.position for h in frame.heads]).any()
        ):
            self._node.get_logger().warning("images have an empty frame_id: no TF", once=True)

        def wanted(topic: str) -> bool:
            if topic in _LAZY:
                return self._publishers[topic].get_subscription_count() > 0
            return topic in self._publishers and (with_tf or topic != TF)

        caption = self._latency(frame, header)
        for topic, message in self._messages.of(frame, view, header, wanted, caption):
            self._publishers[topic].publish(message)
        if self._hri:
            self._hri.publish(frame, view, header)

    def clear(self) -> None:
        """No more images: nothing that is shown shall stay."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._publishers[MARKERS].publish(self._messages.clear_markers(header))
        if self._hri:
            self._hri.clear(header)

    def subscribers(self) -> int:
        """How many listen to head_pose."""
        return int(self._publishers[HEAD_POSE].get_subscription_count())

    def destroy(self) -> None:
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        if self._hri:
            self._hri.destroy()

    def _latency(self, frame: Frame, header: Header) -> str:
        text = f"{sum(frame.timings_ms.values()):.0f} ms"
        age = age_ms(header.stamp, self._node.get_clock())
        return text if math.isnan(age) else f"{text}, image {age:.0f} ms old"
