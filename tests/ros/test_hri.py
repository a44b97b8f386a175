# SPDX-License-Identifier: Apache-2.0
"""Faces as REP-155 has them, over real DDS."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from headpose_core.images.image_messages import image_from_message
from headpose_core.images.image_view import as_view
from headpose_ros import hri as hri_module
from headpose_ros.hri import HriOutputs
from headpose_ros.outputs import Outputs
from tests.messages.sample_heads import frame, head
from tests.ros.graph import NodeProcess, Probe, camera_info, image_message, ros_parameters

HEADER = Header(frame_id="camera")
VIEW = as_view(np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8))


def test_tracked_faces_as_rep155_has_them(probe: Probe, node: Node) -> None:
    messages = pytest.importorskip(
        "hri_msgs.msg", reason="needs hri_msgs, of the tests' workspace"
    )
    outputs = HriOutputs(node)
    header = Header(frame_id="camera")
    header.stamp.sec = 7
    cut = head("f2", box=np.array([-40, 200, 60, 300], np.float32), score=0.5)
    two = frame(head("f1"), cut, head("f9", confirmed=False))
    received: dict[str, list] = {"tracked": [], "roi": [], "cropped": []}
    root = "/humans/faces"
    subscribe = probe.node.create_subscription
    subscribe(messages.IdsList, f"{root}/tracked", received["tracked"].append, 10)
    region = messages.NormalizedRegionOfInterest2D
    subscribe(region, f"{root}/f2/roi", received["roi"].append, 10)
    subscribe(Image, f"{root}/f2/cropped", received["cropped"].append, 10)

    def all_came() -> bool:
        outputs.publish(two, VIEW, header)
        return all(received.values())

    probe.until(all_came, "topics of a face")
    assert received["tracked"][-1].ids == ["f1", "f2"]
    roi, cropped = received["roi"][-1], received["cropped"][-1]
    assert (roi.header, cropped.header) == (header, header)
    corners = [roi.xmin, roi.ymin, roi.xmax, roi.ymax, roi.c]
    np.testing.assert_allclose(corners, [0.0, 200 / 240, 60 / 320, 1.0, 0.5], atol=1e-6)
    assert (cropped.width, cropped.height, cropped.encoding) == (128, 128, "rgb8")
    pixels = image_from_message(cropped)
    assert not pixels[:, :50].any()  # what lies outside the image is black
    assert not pixels[53:].any()
    assert pixels[:50, 54:].any()

    # A second later f1 is gone, and so are its topics.
    outputs.publish(frame(cut, stamp_s=2.5), VIEW, header)
    probe.until(lambda: received["tracked"][-1].ids == ["f2"], "f1 is not tracked")
    probe.until(lambda: not node.count_publishers(f"{root}/f1/roi"), "its topics are gone")
    assert node.count_publishers(f"{root}/f2/roi") == 1
    outputs.clear(header)
    probe.until(lambda: received["tracked"][-1].ids == [], "nobody is tracked")
    outputs.destroy()
    probe.until(lambda: not node.count_publishers(f"{root}/tracked"), "all topics are gone")


def test_quality_of_service_of_tracked_faces_is_overridden(probe: Probe) -> None:
    """That of a face's own topics cannot: its parameters would stay when it goes."""
    pytest.importorskip("hri_msgs.msg", reason="needs hri_msgs, of the tests' workspace")
    tracked = "/humans/faces/tracked"
    node = Node(
        "outputs",
        namespace=probe.namespace,
        context=probe.context,
        parameter_overrides=ros_parameters({f"qos_overrides.{tracked}.publisher.depth": 7}),
    )
    outputs = HriOutputs(node)
    outputs.publish(frame(head()), VIEW, HEADER)
    depths = {publisher.topic_name: publisher.qos_profile.depth for publisher in node.publishers}
    assert depths[tracked] == 7
    assert depths["/humans/faces/f1/roi"] == 1
    overridable = {name.split(".")[0] for name in node.get_parameters_by_prefix("qos_overrides")}
    assert overridable == {tracked}
    node.destroy_node()


def test_a_face_that_is_missed_once_keeps_its_topics(probe: Probe, node: Node) -> None:
    pytest.importorskip("hri_msgs.msg", reason="needs hri_msgs, of the tests' workspace")
    outputs = HriOutputs(node)
    made: list[str] = []
    create = node.create_publisher

    def counted(kind: type, topic: str, *args: object) -> Publisher:
        made.append(topic)
        return create(kind, topic, *args)

    node.create_publisher = counted  # type: ignore[method-assign]
    for stamp_s, heads in ((1.0, [head()]), (1.1, []), (1.2, [head()])):
        outputs.publish(frame(*heads, stamp_s=stamp_s), VIEW, HEADER)
    assert len(made) == 2
    outputs.publish(frame(head(), stamp_s=0.5), VIEW, HEADER)  # time was set back
    assert len(made) == 4
    outputs.destroy()


def test_without_hri_msgs_it_is_said_what_to_do(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(hri_module, "import_module", missing)
    with pytest.raises(
        ImportError, match=r"install ros-\$ROS_DISTRO-hri-msgs, or set publish_hri"
    ):
        Outputs(node, publish_hri=True)
    assert not node.count_publishers(f"{node.get_namespace()}/head_pose")


def added(message: MarkerArray) -> dict[str, Marker]:
    """By namespace."""
    return {m.ns: m for m in message.markers if m.action == Marker.ADD}


def test_the_node_publishes_for_rep155_and_markers(
    start: Callable[..., NodeProcess], probe: Probe, astronaut: np.ndarray
) -> None:
    messages = pytest.importorskip(
        "hri_msgs.msg", reason="needs hri_msgs, of the tests' workspace"
    )
    node = start(probe.namespace, publish_hri=True, id_prefix="human")
    tracked: list = []
    markers: list[MarkerArray] = []
    probe.node.create_subscription(messages.IdsList, "/humans/faces/tracked", tracked.append, 10)
    probe.node.create_subscription(MarkerArray, "head_pose/markers", markers.append, 100)
    probe.until_ready()
    probe.calibrate(camera_info(512, 512, 500.0))
    numbers = itertools.count()

    def both_came() -> bool:
        probe.ask(image_message(astronaut, next(numbers)))
        return any(m.ids == ["human1"] for m in tracked) and any(map(added, markers))

    def all_gone() -> bool:
        return tracked[-1].ids == [] and markers[-1].markers[0].action == Marker.DELETEALL

    probe.until(both_came, "tracked faces and markers")
    shown = next(filter(None, map(added, markers)))
    assert shown["axes"].lifetime.sec > 0  # else those of a node that was killed would stay
    probe.until(all_gone, "nobody is shown when the camera is silent for a while")

    tracked.clear()
    markers.clear()
    probe.until(both_came, "tracked faces and markers again")
    assert probe.change_state("deactivate")
    probe.until(all_gone, "nobody is shown any more")

    assert probe.change_state("activate")
    probe.until_ready()
    probe.calibrate(camera_info(512, 512, 500.0))
    tracked.clear()
    markers.clear()
    probe.until(both_came, "tracked faces and markers once more")
    assert node.end() == 0
    probe.until(all_gone, "nobody is shown after the end")
