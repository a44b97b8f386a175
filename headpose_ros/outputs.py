# SPDX-License-Identifier: Apache-2.0
"""What the node publishes for an image."""

from __future__ import annotations

import math

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from headpose_core.drawing import draw_heads
from headpose_core.image_view import AnyImage, as_view
from headpose_core.markers import HeadMarkers
from headpose_core.types import Frame
from headpose_ros.hri import HriOutputs
from headpose_ros.images import message_from_image
from headpose_ros.messages import age_ms, head_pose_array, make, transforms
from headpose_ros.msg import HeadPoseArray
from headpose_ros.qos import newest_only, overridable


class Outputs:
    """The publishers for heads; they exist while the node is configured.

    publish_hri: the topics of REP-155 as well. Raises ImportError when hri_msgs is missing then,
    RuntimeError for a qos_overrides parameter that is none.
    """

    def __init__(self, node: Node, *, publish_hri: bool = False) -> None:
        self._node = node
        self._publishers: list[Publisher] = []
        self._hri = HriOutputs(node) if publish_hri else None
        try:
            self._poses = self._offer(HeadPoseArray, "head_pose", 5)
            self._tf = self._offer(TFMessage, "/tf", 100)
            self._markers = self._offer(MarkerArray, "head_pose/markers", 5)
            self._debug_image = self._offer(Image, "head_pose/debug_image", newest_only())
        except Exception:
            self.destroy()
            raise
        self._shown = HeadMarkers(make)

    def publish(self, frame: Frame, image: AnyImage, header: Header, *, with_tf: bool) -> None:
        """Send the heads in `image`, (H, W, 3), under its own `header`."""
        if with_tf:  # first, so that it is there for who looks it up when the heads arrive
            self._publish_tf(frame, header)
        self._poses.publish(head_pose_array(frame, header, image.shape[1::-1]))
        if self._hri:
            self._hri.publish(frame, image, header)
        if self._markers.get_subscription_count():
            self._markers.publish(self._shown.update(frame, header))
        if self._debug_image.get_subscription_count():
            drawn = draw_heads(
                as_view(image).rgb(), frame.heads, caption=self._latency(frame, header)
            )
            self._debug_image.publish(message_from_image(drawn, header))

    def clear(self) -> None:
        """No more images: nothing that is shown shall stay."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._markers.publish(self._shown.clear(header))
        if self._hri:
            self._hri.clear(header)

    def subscribers(self) -> int:
        """How many listen to head_pose."""
        return self._poses.get_subscription_count()

    def destroy(self) -> None:
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        if self._hri:
            self._hri.destroy()

    def _offer(self, kind: type, topic: str, qos: QoSProfile | int) -> Publisher:
        options = overridable()
        publisher = self._node.create_publisher(kind, topic, qos, qos_overriding_options=options)
        self._publishers.append(publisher)
        return publisher

    def _publish_tf(self, frame: Frame, header: Header) -> None:
        message = transforms(frame, header)
        if not message.transforms:
            return
        if not header.frame_id:
            self._node.get_logger().warning("images have an empty frame_id: no TF", once=True)
            return
        self._tf.publish(message)

    def _latency(self, frame: Frame, header: Header) -> str:
        text = f"{sum(frame.timings_ms.values()):.0f} ms"
        age = age_ms(header.stamp, self._node.get_clock())
        return text if math.isnan(age) else f"{text}, image {age:.0f} ms old"
