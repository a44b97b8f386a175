# SPDX-License-Identifier: Apache-2.0
"""What the node publishes for an image, over real DDS where it goes over the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, TransformStamped
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from headpose_core.geometry.quaternions import matrix_from_quaternion
from headpose_core.geometry.rotation import BODY_TO_OPTICAL, geodesic_deg, matrix_from_angles
from headpose_core.images.image_messages import image_from_message
from headpose_core.images.image_view import Encoding, ImageView, as_view
from headpose_core.messages.markers import HeadMarkers
from headpose_core.types import Frame
from headpose_ros.outputs import Outputs
from headpose_ros.qos import newest_only
from tests.messages.sample_heads import frame, head
from tests.ros.graph import FRAME, NodeProcess, Probe, image_message

HEADER = Header(frame_id="camera")
IMAGE = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
VIEW = as_view(IMAGE)


def test_markers_come_while_somebody_listens_and_are_cleared(
    probe: Probe, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs(node)
    made: list[Frame] = []
    update = HeadMarkers.update
    monkeypatch.setattr(
        HeadMarkers, "update", lambda self, f, h: made.append(f) or update(self, f, h)
    )
    outputs.publish(frame(head()), VIEW, HEADER, with_tf=False)
    assert not made
    received: list[MarkerArray] = []
    probe.node.create_subscription(MarkerArray, "head_pose/markers", received.append, 10)

    def shown() -> bool:
        outputs.publish(frame(head()), VIEW, HEADER, with_tf=False)
        return bool(received)

    probe.until(shown, "markers")
    added = {m.ns for m in received[0].markers if m.action == Marker.ADD}
    assert added == {"axes", "cone", "id"}
    outputs.clear()

    def cleared() -> bool:
        return [marker.action for marker in received[-1].markers] == [Marker.DELETEALL]

    probe.until(cleared, "they are cleared")
    outputs.destroy()
    probe.until(
        lambda: not probe.node.count_publishers("head_pose/markers"), "publishers are gone"
    )


def test_the_debug_image_tells_the_latency(probe: Probe, node: Node) -> None:
    outputs = Outputs(node)
    header = Header(frame_id="camera", stamp=node.get_clock().now().to_msg())
    assert outputs._latency(frame(), header).startswith("7 ms, image ")
    assert outputs._latency(frame(), HEADER) == "7 ms"  # without a stamp there is no age
    before_1970 = Header(stamp=Time(sec=-1))
    assert outputs._latency(frame(), before_1970).startswith("7 ms, image ")
    received: list[Image] = []
    probe.node.create_subscription(Image, "head_pose/debug_image", received.append, newest_only())
    as_it_came = ImageView(IMAGE[..., ::-1], Encoding("bgr", cv2.COLOR_BGR2RGB, channels=3))

    def drawn() -> bool:
        outputs.publish(frame(), as_it_came, header, with_tf=False)
        return bool(received)

    probe.until(drawn, "a debug image")
    changed = (image_from_message(received[0]) != IMAGE).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert rows.min() > 200  # the caption, and nothing else: there is no head
    assert columns.min() == 0
    outputs.destroy()


def test_two_sets_of_outputs_after_each_other(node: Node) -> None:
    """As when the node is configured again: the QoS parameters are there already."""
    for _ in range(2):
        outputs = Outputs(node)
        outputs.publish(frame(replace(head(), confirmed=False)), VIEW, HEADER, with_tf=True)
        outputs.destroy()


def camera_turned_by(roll_deg: float, number: int) -> TFMessage:
    """base -> the camera's frame at the stamp of image `number`."""
    x, y, z, w = Rotation.from_rotvec([0.0, 0.0, np.radians(roll_deg)]).as_quat().tolist()
    header = image_message(IMAGE, number).header
    header.frame_id = "base"
    turned = TransformStamped(header=header, child_frame_id=FRAME)
    turned.transform.rotation = Quaternion(x=x, y=y, z=z, w=w)
    return TFMessage(transforms=[turned])


def test_the_node_filters_in_the_frame_it_is_told(
    start: Callable[..., NodeProcess], probe: Probe, astronaut: np.ndarray
) -> None:
    """The same photo again and again, while TF says that the camera turns: so does the head."""
    start(probe.namespace, filter__frame="base")
    probe.until_ready()
    tf = probe.node.create_publisher(TFMessage, "/tf", 100)
    probe.until(
        lambda: tf.get_subscription_count() >= 2, "the node listens to TF"
    )  # the probe too
    probe.ask(image_message(astronaut, 0))
    probe.until_values(filter_frame_problem=f"'{FRAME}' is not known in 'base'")

    # Between two stamps the way is known; the last image waits for none.
    heads = []
    for number in range(1, 12):
        tf.publish(camera_turned_by(3.0 * number, number))
        tf.publish(camera_turned_by(3.0 * number + 1.5, number + 1))
        heads += probe.ask(image_message(astronaut, number)).heads
    held_back = [
        geodesic_deg(
            matrix_from_quaternion([getattr(head.orientation, k) for k in "xyzw"]),
            matrix_from_angles(head.paper_angles) @ BODY_TO_OPTICAL,
        )
        for head in heads
    ]
    assert held_back[-1] > 1.0
    covariance = np.reshape(heads[-1].orientation_covariance, (3, 3))
    assert (
        covariance[2, 2] > np.radians(held_back[-1]) ** 2 * 0.9
    )  # the lag, about the axis of roll
