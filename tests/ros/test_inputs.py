# SPDX-License-Identifier: Apache-2.0
"""What cameras send: compressed, of changing sizes, frames and stamps, too fast, unheard."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from headpose_core.faces.prominence import Prominence
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_view import as_view
from headpose_ros.inputs import RateLimit
from tests.ros.graph import NodeProcess, Probe, camera_info, image_message

Start = Callable[..., NodeProcess]


def compressed(image: np.ndarray, number: int = 0, ending: str = ".jpg") -> CompressedImage:
    header = image_message(image[:1], number).header
    data = cv2.imencode(ending, image[..., ::-1])[1].tobytes()
    return CompressedImage(header=header, format=f"rgb8; {ending[1:]} compressed bgr8", data=data)


def test_compressed_images(start: Start, probe: Probe, astronaut: np.ndarray) -> None:
    """On the topic beside the one that `image` is remapped to; broken ones are counted."""
    camera = f"{probe.namespace}/left/image_raw"
    remapped = ("-r", f"image:={camera}")
    start(probe.namespace, arguments=remapped, image_transport="compressed", id_prefix="c")
    publisher = probe.node.create_publisher(CompressedImage, f"{camera}/compressed", 5)
    probe.until(publisher.get_subscription_count, "the node takes compressed images")
    values = probe.until_values(state="active", head_pose_subscribers=1)
    assert (values["image_topic"], values["image_publishers"]) == (f"{camera}/compressed", "1")

    def ask(message: CompressedImage) -> list:
        count = len(probe.poses)
        publisher.publish(message)
        probe.until(lambda: len(probe.poses) > count, "head_pose for a compressed image")
        assert probe.poses[-1].header == message.header
        return probe.poses[-1].heads

    (lossless,) = ask(compressed(astronaut, 0, ".png"))
    (lossy,) = ask(compressed(astronaut, 1))
    np.testing.assert_allclose(lossy.paper_angles, lossless.paper_angles, atol=1.0)
    good = compressed(astronaut, 2)
    bomb = bytes(good.data)
    at = bomb.index(b"\xff\xc0") + 5
    broken = [b"", b"neither", bytes(good.data)[:-300], bomb[:at] + b"\xff" * 4 + bomb[at + 4 :]]
    for count, data in enumerate(broken, 1):
        publisher.publish(CompressedImage(header=good.header, format="jpeg", data=data))
        values = probe.until_values(images_failed=count)
        assert values["last_error"].startswith("compressed image 'jpeg'")
    (head,) = ask(good)
    assert head.face_id == "c1"
    (large,) = ask(compressed(cv2.resize(astronaut, (3840, 2160)), 3))
    assert large.roi.width > 4 * head.roi.width
    assert probe.until_values(images_processed=4)["images_in"] == "8"


def many_faces(photo: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The astronaut's head in a grid, each of another size."""
    head = photo[20:220, 120:320]
    image = np.zeros((rows * 110, columns * 110, 3), np.uint8)
    for number in range(rows * columns):
        y, x = divmod(number, columns)
        side = 70 + (number * 7) % 30
        image[y * 110 : y * 110 + side, x * 110 : x * 110 + side] = cv2.resize(
            head, (side, side), interpolation=cv2.INTER_AREA
        )
    return image


def test_a_camera_that_changes_in_mid_stream(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    """Size, encoding, frame, stamps, number of faces: every image is answered as it should be."""
    start(probe.namespace, max_faces=5, detector__max_side=2048)
    probe.until_ready()

    def ids(image: np.ndarray, number: int, **header: object) -> list[str]:
        message = image_message(image, number)
        for name, value in header.items():
            setattr(message.header, name, value)
        answer = probe.ask(message)
        assert answer.header == message.header
        return [head.face_id for head in answer.heads]

    first = ids(astronaut, 0)
    assert ids(astronaut, 1) == first
    grey = image_message(astronaut, 2)
    grey.encoding, grey.step = "mono8", 512
    grey.data = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY).tobytes()
    assert [head.face_id for head in probe.ask(grey).heads] == first  # only the encoding changed

    half = np.ascontiguousarray(astronaut[::2, ::2])
    second = ids(half, 3)  # another size is another view
    assert second != first
    assert ids(half, 3) == second  # a stamp that repeats
    third = ids(half, 1)  # a stamp that goes back
    assert third not in (first, second)
    assert ids(half, 2) == third
    fourth = ids(half, 3, frame_id="another_camera")
    assert fourth not in (first, second, third)
    assert len(ids(half, 4, frame_id="")) == 1
    for seconds in (0, -1, -(2**31)):  # none; before 1970, as of a clock that was never set
        stamp = Time(sec=seconds)
        assert ids(half, 0, stamp=stamp) == ids(half, 0, stamp=stamp)

    crowd = many_faces(astronaut, 10, 10)
    everybody = YuNet(max_side=2048).detect(as_view(crowd))
    assert len(everybody) > 90
    corners = Prominence().choose(everybody, 5).boxes[:, :2]
    rois = [head.roi for head in probe.ask(image_message(crowd, 5)).heads]
    np.testing.assert_allclose([[r.x_offset, r.y_offset] for r in rois], corners, atol=0.5)

    assert ids(astronaut[:1, :1], 7) == []
    assert len(ids(astronaut, 8)) == 1
    values = probe.until_values(images_processed=len(probe.poses))
    assert (values["images_failed"], values["images_dropped"]) == ("0", "0")
    assert values["image_age_ms"] != "nan"


def test_calibrations_that_come_late_change_or_mean_nothing(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    start(probe.namespace)
    probe.until_ready()
    not_finite, nothing = camera_info(512, 512, float("nan")), CameraInfo(width=512, height=512)
    unknown = camera_info(512, 512, 500.0)
    unknown.distortion_model, unknown.d = "thin_prism", [0.1] * 3
    of_another = camera_info(512, 512, 250.0)
    of_another.header.frame_id = "depth"
    useless = "False (camera_info cannot be used: "
    cases = [
        (None, "False (no camera_info", None),
        (not_finite, f"{useless}K has numbers that are not finite", None),
        (camera_info(512, 512, 500.0), "True", 500.0),
        (unknown, f"{useless}the distortion model 'thin_prism' is not known", None),
        (camera_info(512, 512, 1000.0), "True", 1000.0),
        (camera_info(640, 480, 500.0), "False (camera_info is for 640x480", None),
        (nothing, f"{useless}K has focal lengths of zero", None),
        (of_another, "False (camera_info is of the frame 'depth', images are of", None),
        (camera_info(512, 512, 500.0), "True", 500.0),
    ]
    distances, ids = {}, set()
    for number, (info, calibrated, focal_px) in enumerate(cases):
        if info:
            probe.send_info(info)
        probe.until_values(calibrated=calibrated)
        (head,) = probe.ask(image_message(astronaut, number)).heads
        assert np.isfinite(head.position.z) == head.perspective_corrected == bool(focal_px)
        assert (head.position_covariance[0] == -1.0) == (focal_px is None)
        ids.add(head.face_id)
        if focal_px:
            distances.setdefault(focal_px, []).append(head.position.z)
    assert len(ids) == 1  # it is the same face all the time
    assert distances[1000.0][0] == pytest.approx(2 * distances[500.0][0], rel=0.02)
    assert distances[500.0][1] == pytest.approx(distances[500.0][0], rel=0.02)


def test_quality_of_service_is_overridden_a_mismatch_is_said(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    image = f"{probe.namespace}/image"
    override = ("-p", f"qos_overrides.{image}.subscription.reliability:=reliable")
    node = start(probe.namespace, arguments=override)
    probe.until_ready()
    assert len(probe.ask(image_message(astronaut)).heads) == 1  # from a reliable publisher
    assert probe.values()["qos_mismatch"] == ""

    unreliable = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    other = probe.node.create_publisher(Image, "image", unreliable)
    expected = f"nothing comes from {probe.namespace}/probe on {image}"
    values = probe.until_values(qos_mismatch=expected)
    assert "reliab" in values["qos_mismatch"].lower()
    assert probe.status.level == b"\x01"
    assert expected in probe.status.message
    assert expected in node.output()
    probe.node.destroy_publisher(other)
    probe.until(lambda: probe.values()["qos_mismatch"] == "", "the mismatch is over")


def test_a_publisher_of_another_type_is_said(start: Start, probe: Probe) -> None:
    node = start(probe.namespace)
    probe.until_ready()
    context = Context()  # its own: one participant has one type for a topic
    context.init()
    other = Node("other", namespace=probe.namespace, context=context)
    other.create_publisher(CompressedImage, "image", 5)
    topic = f"{probe.namespace}/image"
    values = probe.until_values(
        qos_mismatch=f"nothing comes from {probe.namespace}/other on {topic}: it sends "
        "sensor_msgs/msg/CompressedImage, expected sensor_msgs/msg/Image"
    )
    assert "image_transport" in values["qos_mismatch"]
    assert values["qos_mismatch"] in node.output()
    assert values["image_publishers"] == "1"
    other.destroy_node()
    context.shutdown()
    probe.until(lambda: probe.values()["qos_mismatch"] == "", "it is gone")


def test_a_camera_that_dies_and_comes_back(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    start(probe.namespace)
    probe.until_ready()
    (head,) = probe.ask(image_message(astronaut, 0)).heads
    probe.replace_camera()
    probe.until_ready()
    (again,) = probe.ask(image_message(astronaut, 1)).heads
    assert again.face_id == head.face_id


def test_simulated_time(start: Start, probe: Probe, astronaut: np.ndarray) -> None:
    """Stamps and ages are of that time, and it may stand still."""
    start(probe.namespace, use_sim_time=True)
    clock = probe.node.create_publisher(Clock, "/clock", 1)
    probe.until_ready()
    probe.until(clock.get_subscription_count, "the node listens to the clock")
    message = image_message(astronaut)
    now = Clock()
    now.clock.sec, now.clock.nanosec = message.header.stamp.sec, 250_000_000

    def told() -> bool:
        clock.publish(now)
        return probe.stamp == now.clock

    probe.until(told, "diagnostics in simulated time")
    assert probe.ask(message).header.stamp == message.header.stamp
    assert probe.until_values(images_processed=1)["image_age_ms"] == "250.00"


def test_no_more_images_than_the_rate_allows(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    start(probe.namespace, max_rate=0.001)
    probe.until_ready()
    probe.ask(image_message(astronaut, 0))
    for number in range(1, 4):
        probe.send(image_message(astronaut, number))
        probe.until_values(images_rate_limited=number)
    assert probe.set_parameters(max_rate=0.0) == [""]
    probe.ask(image_message(astronaut, 4))
    values = probe.until_values(images_processed=2)
    assert (values["images_in"], values["images_dropped"]) == ("5", "0")
    assert values["images_rate_limited"] == "3"


@pytest.mark.parametrize("rate_hz", [10.0, 15.0, 20.0, 29.0])
def test_a_rate_is_kept_although_images_jitter(rate_hz: float) -> None:
    """In ten seconds of 30 Hz."""
    random = np.random.default_rng(1)
    times = np.arange(300) / 30 + random.uniform(-0.004, 0.004, 300)
    limit = RateLimit()
    passed = sum(limit.passes(now, rate_hz) for now in times)
    assert 9.5 * rate_hz < passed <= 10 * rate_hz + 1


def test_a_rate_has_no_burst_after_silence() -> None:
    limit = RateLimit()
    assert limit.passes(0.0, 10.0)
    assert limit.passes(100.0, 10.0)
    assert not limit.passes(100.05, 10.0)
    assert limit.passes(100.11, 10.0)
    assert limit.passes(100.12, 0.0)
