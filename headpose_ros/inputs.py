# SPDX-License-Identifier: Apache-2.0
"""What the node listens to: images, raw or compressed, and the calibration of their camera."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from headpose_ros.health import Health
from headpose_ros.parameters import Parameters
from headpose_ros.qos import newest_only, overridable

ImageMessage: TypeAlias = Image | CompressedImage


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
        on_image: Callable[[ImageMessage], None],
        on_camera_info: Callable[[CameraInfo], None],
    ) -> None:
        self._node, self._parameters, self._health = node, parameters, health
        self._on_image = on_image
        self._rate = RateLimit()
        self._subscriptions: list[Subscription] = []
        self._mismatches = ""
        try:
            self._subscribe_all(transport, on_camera_info)
        except Exception:
            self.close()
            raise

    @property
    def image_topic(self) -> str:
        return str(self._subscriptions[-1].topic_name)

    def facts(self) -> dict[str, Any]:
        """For the diagnostics: nobody may publish there, or what is published may be lost."""
        topic, kind = self.image_topic, _type_name(self._subscriptions[-1].msg_type)
        publishers = self._node.get_publishers_info_by_topic(topic)
        heard = sum(publisher.topic_type == kind for publisher in publishers)
        return {"image_topic": topic, "image_publishers": heard}

    def check_publishers(self) -> None:
        """Say which publishers are not heard, because of their type or quality of service."""
        problem = "; ".join(filter(None, map(self._unheard, self._subscriptions)))
        if problem != self._mismatches:
            self._mismatches = problem
            self._health.qos_mismatch(problem)
            if problem:
                self._node.get_logger().error(problem)

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _unheard(self, subscription: Subscription) -> str:
        """Of a topic: which publishers are not heard, and why."""
        topic, kind = subscription.topic_name, _type_name(subscription.msg_type)
        problems = []
        for publisher in self._node.get_publishers_info_by_topic(topic):
            if why := _why_unheard(publisher, kind, subscription.qos_profile):
                who = f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
                problems.append(f"nothing comes from {who} on {topic}: {why}")
        return "; ".join(problems)

    def _take(self, message: ImageMessage) -> None:
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
        # What the middleware overwrites before it is taken is not told: Fast DDS has no event for
        # it, and the stamps of a camera of unknown rate have no gaps that mean anything.
        self._subscriptions.append(
            self._node.create_subscription(
                kind, topic, callback, newest_only(), qos_overriding_options=overridable()
            )
        )


def _type_name(kind: Any) -> str:
    """Of a message class, as the graph has it: sensor_msgs/msg/Image."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


_IMAGE_TYPES = {_type_name(Image), _type_name(CompressedImage)}


def _why_unheard(publisher: TopicEndpointInfo, kind: str, asked: QoSProfile) -> str:
    """Why a publisher cannot be heard by who wants this type at this quality; "" when it is."""
    sent = publisher.topic_type
    if sent != kind:
        both_images = {sent, kind} <= _IMAGE_TYPES
        transport = "; the parameter image_transport chooses" if both_images else ""
        return f"it sends {sent}, expected {kind}{transport}"
    compatible, reason = qos_check_compatible(publisher.qos_profile, asked)
    error = compatible == QoSCompatibility.ERROR
    return f"incompatible quality of service: {reason}" if error else ""


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
