# SPDX-License-Identifier: Apache-2.0
"""A node that says on `attentive` (std_msgs/Bool) whether the first face looks at the camera."""

import math
import signal
import threading

import rclpy
from headpose_ros.msg import HeadPoseArray
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool


class AttentionMonitor(Node):
    def __init__(self) -> None:
        super().__init__("attention_monitor")
        self.cone = math.radians(self.declare_parameter("cone_deg", 30.0).value)
        self.patience_s = self.declare_parameter("patience_s", 2.0).value
        self.last_facing_s = -math.inf
        self.publisher = self.create_publisher(Bool, "attentive", 5)
        self.create_subscription(HeadPoseArray, "head_pose", self.on_heads, 5)

    def on_heads(self, message: HeadPoseArray) -> None:
        now_s = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        for head in message.heads[:1]:  # the most prominent face comes first
            if math.acos(math.cos(head.yaw) * math.cos(head.pitch)) < self.cone:
                self.last_facing_s = now_s
        self.publisher.publish(Bool(data=now_s - self.last_facing_s < self.patience_s))


def main() -> None:
    # Its own handlers: a signal that comes just before rclpy waits does not always end its spin.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    told_to_end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told_to_end.set())
    monitor = AttentionMonitor()
    while not told_to_end.is_set():
        rclpy.spin_once(monitor, timeout_sec=0.5)
    monitor.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
