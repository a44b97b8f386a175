# SPDX-License-Identifier: Apache-2.0
"""Cameras in processes of their own: killed, replaced, of any size."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy.context import Context
from std_msgs.msg import Header

from headpose_ros.images import message_from_image
from tests.ros.graph import FRAME, REPOSITORY, NodeProcess, Probe, camera_info, image_message
from tools.demo.network import end_in_peace

Start = Callable[..., NodeProcess]

# A driver: the photo at 10 Hz with stamps of its clock.
DRIVER = """
import rclpy, sys
from headpose_core.images.image_files import read_image
from headpose_ros.images import message_from_image
from sensor_msgs.msg import Image
from std_msgs.msg import Header
rclpy.init()
node = rclpy.create_node("driver", namespace=sys.argv[1])
photo = read_image(sys.argv[2])
publisher = node.create_publisher(Image, "image", 5)
def tick():
    header = Header(stamp=node.get_clock().now().to_msg(), frame_id=sys.argv[3])
    publisher.publish(message_from_image(photo, header))
node.create_timer(0.1, tick)
rclpy.spin(node)
"""


@pytest.fixture
def driver(
    probe: Probe, astronaut: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], subprocess.Popen]]:
    """Starts a camera driver whose images are in the given frame."""
    photo = tmp_path_factory.mktemp("driver") / "photo.png"
    cv2.imwrite(str(photo), astronaut[20:220, 120:320, ::-1])
    started: list[subprocess.Popen] = []

    def start(frame: str) -> subprocess.Popen:
        command = [sys.executable, "-c", DRIVER, probe.namespace, str(photo), frame]
        started.append(subprocess.Popen(command, cwd=REPOSITORY))
        return started[-1]

    yield start
    for process in started:
        end_in_peace(process)


def test_a_driver_that_is_killed_and_started_again(
    start: Start, probe: Probe, driver: Callable[[str], subprocess.Popen]
) -> None:
    """The node says that nothing comes, and goes on as soon as something does."""
    # A slow machine is not the matter here.
    node = start(probe.namespace, track__max_gap=600.0, latency_budget=60_000.0)
    probe.until_values(state="active", head_pose_subscribers=1)

    def faces(frame: str) -> set[str]:
        """The ids in five further images of this frame."""
        first = len(probe.poses)

        def there() -> list:
            return [p for p in probe.poses[first:] if p.header.frame_id == frame]

        probe.until(lambda: len(there()) >= 5, f"heads in {frame}")
        assert all(len(pose.heads) == 1 for pose in there())
        return {pose.heads[0].face_id for pose in there()}

    camera = driver(FRAME)
    ids = faces(FRAME)
    assert len(ids) == 1
    probe.until(lambda: probe.status.level == b"\x00", "all is well")
    camera.kill()  # without a word to anybody
    camera.wait()
    probe.until(lambda: "no image for" in probe.status.message, "the silence is noticed")
    assert probe.status.level == b"\x01"
    driver("other_frame")
    assert not faces("other_frame") & ids
    probe.until(lambda: probe.status.level == b"\x00", "all is well again")
    assert probe.values()["images_failed"] == "0"
    assert node.process.poll() is None


def test_two_cameras_at_once(start: Start, ros: Context, astronaut: np.ndarray) -> None:
    """A node each: their poses stay apart, and so do their frames in the one TF."""
    probes = {name: Probe(ros, f"/both/{name}") for name in ("front", "rear")}
    for name, probe in probes.items():
        start(probe.namespace, id_prefix=f"{name}_f")
        probe.until_ready()
        probe.calibrate(camera_info(512, 512, 500.0))
    for number in range(3):
        for name, probe in probes.items():
            (head,) = probe.ask(image_message(astronaut, number)).heads
            assert head.face_id == f"{name}_f1"
    frames = {f"{kind}_{name}_f1" for kind in ("face", "gaze") for name in probes}
    probe.until(lambda: probe.transforms.keys() >= frames, "the frames of both")
    assert [len(probe.poses) for probe in probes.values()] == [3, 3]
    for probe in probes.values():
        probe.close()


def test_sizes_from_one_pixel_to_4k(start: Start, probe: Probe, astronaut: np.ndarray) -> None:
    """One after the other from the same camera. 4K is 25 MB, more than fits into shared memory at
    once: a subscription that asks again for what is lost gets it all the same."""
    topic = f"qos_overrides.{probe.namespace}/image.subscription"
    start(probe.namespace, arguments=("-p", f"{topic}.reliability:=reliable"))
    probe.until_ready()
    sizes = [(1, 1), (3840, 2160), (2, 500), (500, 2), (640, 480), (1, 1), (3840, 2160)]
    for number, (width, height) in enumerate(sizes):
        image = cv2.resize(astronaut, (width, height), interpolation=cv2.INTER_AREA)
        header = Header(frame_id=FRAME, stamp=image_message(astronaut[:1], number).header.stamp)
        answer = probe.ask(message_from_image(image, header))
        assert answer.header == header
        if width >= 640:
            (head,) = answer.heads
            assert head.roi.width == pytest.approx(0.25 * width, rel=0.4)
    assert probe.until_values(images_processed=len(sizes))["images_failed"] == "0"
