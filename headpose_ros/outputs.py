# SPDX-License-Identifier: Apache-2.0
"""What the node publishes for an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from headpose_core.drawing import draw_heads
from headpose_core.types import Frame
from headpose_ros.images import message_from_image
from headpose_ros.messages import head_pose_array, transforms
from headpose_ros.msg import HeadPoseArray
from headpose_ros.qos import newest_only


class Outputs:
    """The publishers for heads; they exist while the node is configured."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._poses = node.create_publisher(HeadPoseArray, "head_pose", 5)
        self._tf = node.create_publisher(TFMessage, "/tf", 100)
        self._debug_image = node.create_publisher(Image, "head_pose/debug_image", newest_only())

    def publish(
        self, frame: Frame, image: NDArray[np.uint8], header: Header, *, with_tf: bool
    ) -> None:
        """Send the heads in `image`, (H, W, 3) uint8 RGB, under the image's own `header`."""
        if with_tf:  # first, so that it is there for who looks it up when the heads arrive
            self._publish_tf(frame, header)
        height, width = image.shape[:2]
        self._poses.publish(head_pose_array(frame, header, (width, height)))
        if self._debug_image.get_subscription_count():
            drawn = draw_heads(image, frame.heads)
            self._debug_image.publish(message_from_image(drawn, header))

    def _publish_tf(self, frame: Frame, header: Header) -> None:
        message = transforms(frame, header)
        if not message.transforms:
            return
        if not header.frame_id:
            self._node.get_logger().warning("images have an empty frame_id: no TF", once=True)
            return
        self._tf.publish(message)

    def subscribers(self) -> int:
        """How many listen to head_pose."""
        return self._poses.get_subscription_count()

    def destroy(self) -> None:
        for publisher in (self._poses, self._tf, self._debug_image):
            self._node.destroy_publisher(publisher)
