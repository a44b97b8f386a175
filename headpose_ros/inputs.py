# SPDX-License-Identifier: Apache-2.0
"""What the node listens to: images, raw or compressed, and the calibration of their camera."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind
from rclpy.qos_event import SubscriptionEventCallbacks
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from headpose_ros.health import Health
from headpose_ros.parameters import Parameters
from headpose_ros.qos import newest_only, overridable

Picture = Image | CompressedImage


class Inputs:
    """The subscriptions. They exist while the node is active and enabled.

    transport: "raw" or "compressed". on_image gets those images that ``max_rate`` lets pass.
    Raises RuntimeError for a qos_overrides parameter that is none.
    """

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        health: Health,
        transport: str,
        on_image: Callable[[Picture], None],
        on_camera_info: Callable[[CameraInfo], None],
    ) -> None:
        self._node, self._parameters, self._health = node, parameters, health
        self._on_image = on_image
        self._rate = RateLimit()
        self._subscriptions: list[Any] = []
        try:
            self._subscribe_all(transport, on_camera_info)
        except Exception:
            self.close()
            raise

    @property
    def image_topic(self) -> str:
        return self._subscriptions[-1].topic_name

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _take(self, message: Picture) -> None:
        if not self._subscriptions:
            return  # came together with the request to stop
        now = time.monotonic()
        self._health.image_came(now)
        if self._rate.passes(now, self._parameters["max_rate"]):
            self._on_image(message)
        else:
            self._health.image_rate_limited()

    def _subscribe_all(self, transport: str, on_camera_info: Callable[[CameraInfo], None]) -> None:
        self._subscribe(CameraInfo, "camera_info", on_camera_info)
        if transport == "compressed":
            # As image_transport does it: beside the topic that `image` is remapped to.
            topic = self._node.resolve_topic_name("image") + "/compressed"
            self._subscribe(CompressedImage, topic, self._take)
        else:
            self._subscribe(Image, "image", self._take)

    def _subscribe(self, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
        def incompatible(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            problem = (
                f"{subscription.topic_name}: a publisher does not offer the {policy} asked for"
            )
            self._health.qos_mismatch(problem)
            self._node.get_logger().error(f"{problem}: nothing comes from it")

        def lost(event: Any) -> None:
            self._health.images_lost(event.total_count_change)

        events = SubscriptionEventCallbacks(
            incompatible_qos=incompatible, message_lost=None if kind is CameraInfo else lost
        )
        subscription = self._node.create_subscription(
            kind,
            topic,
            callback,
            newest_only(),
            event_callbacks=events,
            qos_overriding_options=overridable(),
        )
        self._subscriptions.append(subscription)


class RateLimit:
    """Lets pass at most so many images per second, as evenly as they come."""

    def __init__(self) -> None:
        self._due_s = -math.inf

    def passes(self, now_s: float, rate_hz: float) -> bool:
        """Whether to use the image that comes at `now_s`; a rate of 0 lets all pass."""
        if not rate_hz:
            return True
        late_s = now_s - self._due_s
        if late_s < 0:
            return False
        # Counted from when it was due, not from when it came: else 30 Hz limited to 15 becomes 10
        # as soon as an image comes a little early.
        period_s = 1.0 / rate_hz
        self._due_s = period_s + (self._due_s if late_s < period_s else now_s)
        return True
