# SPDX-License-Identifier: Apache-2.0
"""What a head becomes for displays and for REP-155, over real DDS where it goes over the wire."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, TransformStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from headpose_core.geometry.camera_model import ray_rotation
from headpose_core.geometry.quaternions import matrix_from_quaternion
from headpose_core.geometry.rotation import (
    BODY_TO_OPTICAL,
    geodesic_deg,
    matrix_from_angles,
    orientation_covariance,
)
from headpose_core.images.image_view import Encoding, ImageView
from headpose_core.messages.heads import orientation
from headpose_core.messages.markers import HeadMarkers
from headpose_core.types import Frame, Head
from headpose_ros import hri as hri_module
from headpose_ros.hri import HriOutputs
from headpose_ros.images import image_from_message
from headpose_ros.messages import make
from headpose_ros.outputs import Outputs
from headpose_ros.qos import newest_only
from tests.ros.graph import (
    FRAME,
    NodeProcess,
    Probe,
    camera_info,
    image_message,
    ros_parameters,
)

ANGLES, STD = (20.0, -10.0, 5.0), (3.0, 6.0, 2.0)
POSITION = np.array([0.2, -0.1, 1.5])
HEADER = Header(frame_id="camera")
IMAGE = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)


def head(face_id: str = "f1", **fields: object) -> Head:
    """A confirmed head beside the optical axis whose place is known."""
    R_ray = ray_rotation(POSITION / np.linalg.norm(POSITION))
    known = {
        "box": np.array([100, 60, 180, 160], np.float32),
        "score": 0.75,
        "paper_angles_deg": np.array(ANGLES),
        "std_deg": np.array(STD),
        "extrapolated": False,
        "rotation": matrix_from_angles(ANGLES),
        "ray_rotation": R_ray,
        "covariance": R_ray @ orientation_covariance(ANGLES, STD) @ R_ray.T,
        "position": POSITION,
        "position_covariance": np.eye(3) * 1e-3,
        "perspective_corrected": True,
        "face_id": face_id,
        "track_age": 3,
        "confirmed": True,
    }
    return Head(**{**known, **fields})  # type: ignore[arg-type]


def frame(*heads: Head, stamp_s: float = 1.0) -> Frame:
    return Frame(stamp_s, heads, {"detect": 3.0, "infer": 4.0})


def by_namespace(message: MarkerArray) -> dict[str, Marker]:
    return {m.ns: m for m in message.markers if m.action == Marker.ADD}


def points(marker: Marker) -> np.ndarray:
    return np.array([[p.x, p.y, p.z] for p in marker.points])


def test_axes_start_at_the_sellion_and_point_as_the_head_does() -> None:
    marker = by_namespace(HeadMarkers(make).update(frame(head()), HEADER))["axes"]
    assert (marker.type, marker.header.frame_id) == (Marker.LINE_LIST, "camera")
    ends = points(marker).reshape(3, 2, 3)
    np.testing.assert_allclose(ends[:, 0], [POSITION] * 3)
    directions = ends[:, 1] - ends[:, 0]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(directions.T, orientation(head()), atol=1e-9)
    strongest = [np.argmax([c.r, c.g, c.b]) for c in marker.colors[::2]]
    assert strongest == [0, 1, 2]  # as RViz paints x, y, z


def test_the_cone_holds_two_fifths_of_all_noses() -> None:
    """One sigma in two dimensions: 39 % of heads drawn from the covariance point through it."""
    marker = by_namespace(HeadMarkers(make).update(frame(head()), HEADER))["cone"]
    assert marker.type == Marker.TRIANGLE_LIST
    triangles = points(marker).reshape(-1, 3, 3)
    np.testing.assert_allclose(triangles[:, 0], [POSITION] * len(triangles))
    rays = triangles[:, 1:] - POSITION
    np.testing.assert_allclose(rays[:, 1], np.roll(rays[:, 0], -1, axis=0), atol=1e-9)  # closed

    drawn = np.random.default_rng(0).normal(ANGLES, STD, (20_000, 3))
    noses = (head().ray_rotation @ matrix_from_angles(drawn))[:, :, 2] * -1.0
    # Inside a convex cone a direction lies on the same side of all its faces as the middle.
    faces = np.cross(rays[:, 0], rays[:, 1])
    faces *= np.sign(faces @ orientation(head())[:, 0])[:, None]
    inside = (noses @ faces.T > 0).all(axis=1).mean()
    assert inside == pytest.approx(1 - np.exp(-0.5), abs=0.03)


def test_a_cone_of_great_doubt_is_still_a_cone() -> None:
    doubtful = head(covariance=np.eye(3) * 9.0)
    marker = by_namespace(HeadMarkers(make).update(frame(doubtful), HEADER))["cone"]
    assert np.isfinite(points(marker)).all()
    assert np.abs(points(marker) - POSITION).max() < 1.0


def test_the_id_stands_above_the_head() -> None:
    marker = by_namespace(HeadMarkers(make).update(frame(head("left_f3")), HEADER))["id"]
    assert (marker.type, marker.text) == (Marker.TEXT_VIEW_FACING, "left_f3")
    place = marker.pose.position
    above = np.array([place.x, place.y, place.z]) - POSITION
    assert above @ orientation(head())[:, 2] > 0.1
    assert marker.scale.z > 0


def test_markers_go_with_their_face_and_numbers_are_not_mixed_up() -> None:
    markers = HeadMarkers(make)
    both = markers.update(frame(head("f1"), head("f2")), HEADER).markers
    assert both[0].action == Marker.DELETEALL  # what another node may have left
    numbers = {m.text: m.id for m in both if m.ns == "id"}
    assert len(set(numbers.values())) == 2
    left = markers.update(frame(head("f2"), head("f3")), HEADER).markers
    gone = {(m.ns, m.id) for m in left if m.action == Marker.DELETE}
    assert gone == {(ns, numbers["f1"]) for ns in ("axes", "cone", "id")}
    later = {m.text: m.id for m in left if m.ns == "id" and m.action == Marker.ADD}
    assert later["f2"] == numbers["f2"]
    assert later["f3"] not in numbers.values()
    assert {m.action for m in markers.update(frame(), HEADER).markers} == {Marker.DELETE}
    assert markers.update(frame(), HEADER).markers == []


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        ({"position": np.full(3, np.nan)}, HEADER),
        ({"confirmed": False}, HEADER),
        ({}, Header()),
    ],
)
def test_a_head_without_a_place_has_no_markers(fields: dict[str, object], header: Header) -> None:
    assert not by_namespace(HeadMarkers(make).update(frame(head(**fields)), header))


@pytest.fixture
def node(probe: Probe) -> Iterator[Node]:
    """A node in the probe's process, for publishers of its own."""
    node = Node("outputs", namespace=probe.namespace, context=probe.node.context)
    yield node
    node.destroy_node()


def test_markers_come_while_somebody_listens_and_are_cleared(
    probe: Probe, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs(node)
    made: list[Frame] = []
    update = HeadMarkers.update
    monkeypatch.setattr(
        HeadMarkers, "update", lambda self, f, h: made.append(f) or update(self, f, h)
    )
    outputs.publish(frame(head()), IMAGE, HEADER, with_tf=False)
    assert not made
    received: list[MarkerArray] = []
    probe.node.create_subscription(MarkerArray, "head_pose/markers", received.append, 10)

    def shown() -> bool:
        outputs.publish(frame(head()), IMAGE, HEADER, with_tf=False)
        return bool(received)

    probe.until(shown, "markers")
    assert set(by_namespace(received[0])) == {"axes", "cone", "id"}
    outputs.clear()

    def cleared() -> bool:
        return [marker.action for marker in received[-1].markers] == [Marker.DELETEALL]

    probe.until(cleared, "they are cleared")
    outputs.destroy()
    probe.until(
        lambda: not probe.node.count_publishers("head_pose/markers"), "publishers are gone"
    )


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
        outputs.publish(two, IMAGE, header)
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
    outputs.publish(frame(cut, stamp_s=2.5), IMAGE, header)
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
    outputs.publish(frame(head()), IMAGE, HEADER)
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
        outputs.publish(frame(*heads, stamp_s=stamp_s), IMAGE, HEADER)
    assert len(made) == 2
    outputs.publish(frame(head(), stamp_s=0.5), IMAGE, HEADER)  # time was set back
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
        outputs.publish(frame(replace(head(), confirmed=False)), IMAGE, HEADER, with_tf=True)
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
        return any(m.ids == ["human1"] for m in tracked) and any(map(by_namespace, markers))

    def all_gone() -> bool:
        return tracked[-1].ids == [] and markers[-1].markers[0].action == Marker.DELETEALL

    probe.until(both_came, "tracked faces and markers")
    shown = next(filter(None, map(by_namespace, markers)))
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
