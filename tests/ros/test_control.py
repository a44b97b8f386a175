# SPDX-License-Identifier: Apache-2.0
"""What can be told to the node while it runs: parameters and services."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from headpose_ros.parameter_table import AT_CONFIGURE, AT_START, LIVE, PARAMETERS
from tests.ros.graph import NodeProcess, Probe, camera_info, image_message

Start = Callable[..., NodeProcess]
NAMES = [row.name for row in PARAMETERS]


@pytest.fixture
def numbers() -> Iterator[int]:
    return itertools.count()


def describe(probe: Probe) -> dict[str, ParameterDescriptor]:
    request = DescribeParameters.Request(names=NAMES)
    return {d.name: d for d in probe.call("describe_parameters", request).descriptors}


def values(probe: Probe) -> dict[str, Any]:
    answer = probe.call("get_parameters", GetParameters.Request(names=NAMES))
    return {
        name: Parameter.from_parameter_msg(
            type("Message", (), {"name": name, "value": value})()
        ).value
        for name, value in zip(NAMES, answer.values, strict=True)
    }


# Name, value, what the reason must say.
REFUSED = [
    ("detector.score_threshold", 1.5, "1.0"),
    ("detector.score_threshold", float("nan"), "nan"),
    ("filter.beta", float("inf"), "100.0"),
    ("filter.beta", -0.1, "0.0"),
    ("filter.min_cutoff", 0.0, "0.001"),
    ("max_rate", -1.0, "0.0"),
    ("max_faces", 0, "1000"),
    ("max_faces", 2.0, "INTEGER"),
    ("detector.image_turn", 45, "90"),
    ("threads", True, "INTEGER"),
    ("publish_tf", "yes", "BOOL"),
    ("face_height", 1, "DOUBLE"),
    ("id_prefix", "1", "matches"),
    ("id_prefix", "", "matches"),
    ("id_prefix", "cam1", "matches"),
    ("device", "gpu", "one of auto, tensorrt, cuda, cpu, got 'gpu'"),
    ("backend", "", "one of auto"),
    ("detector", "haar", "one of yunet, insightface"),
    ("image_transport", "theora", "one of raw, compressed"),
    ("autostart", False, "read-only"),
]


def test_what_cannot_be_is_refused_with_the_reason(start: Start, probe: Probe) -> None:
    """And changes nothing, also together with what can be."""
    node = start(probe.namespace)
    before = values(probe)
    assert before == {row.name: row.default for row in PARAMETERS} | {"model": before["model"]}
    for name, value, told in REFUSED:
        key = name.replace(".", "__")
        (reason,) = probe.set_parameters(**{key: value})
        assert told in reason
        assert told in probe.set_together(**{"track__min_hits": 7, key: value})
    (reason,) = probe.set_parameters(no_such_thing=1)
    assert "undeclared" in reason
    (reason,) = probe.set_parameters(device=None)  # `ros2 param delete`
    assert reason
    assert values(probe) == before
    assert probe.set_together(track__min_hits=7, max_faces=3) == ""
    assert values(probe) == before | {"track.min_hits": 7, "max_faces": 3}
    assert probe.set_parameters(threads=2) == [""]
    assert "threads = 2: taken when the node is configured next" in node.output()
    assert "max_faces" not in node.output()


def test_descriptions_say_what_and_when(start: Start, probe: Probe) -> None:
    """`ros2 param list` and `ros2 param describe`: nothing is declared that is not in the table,
    but what every node has."""
    start(probe.namespace)
    every_node = ("qos_overrides.", "use_sim_time", "start_type_description_service")
    listed = probe.call("list_parameters", ListParameters.Request()).result.names
    assert sorted(n for n in listed if not n.startswith(every_node)) == sorted(NAMES)
    descriptors = describe(probe)
    for row in PARAMETERS:
        descriptor = descriptors[row.name]
        assert descriptor.description.endswith(row.when)
        assert descriptor.read_only == (row.when == AT_START)
        if row.choices:
            assert all(choice in descriptor.additional_constraints for choice in row.choices)
    assert descriptors["track.max_gap"].floating_point_range[0].to_value == 3600.0
    assert descriptors["max_faces"].integer_range[0].from_value == 1
    assert {row.when for row in PARAMETERS} == {AT_START, AT_CONFIGURE, LIVE}


def test_the_ends_of_every_live_range_are_taken(
    start: Start, probe: Probe, astronaut: np.ndarray, numbers: Iterator[int]
) -> None:
    """By the parameter and by the library, which would refuse it at the next image."""
    start(probe.namespace)
    probe.until_ready()
    ranges = [(row, end) for row in PARAMETERS if row.when == LIVE for end in row.limits or ()]
    assert len(ranges) > 20
    for row, end in ranges:
        name = row.name.replace(".", "__")
        assert probe.set_parameters(**{name: type(row.default)(end)}) == [""]
        probe.ask(image_message(astronaut, next(numbers)))
        assert probe.set_parameters(**{name: row.default}) == [""]
    values = probe.until_values(images_processed=len(probe.poses))
    assert values["images_failed"] == "0"


Heads = Callable[..., list[Any]]


@pytest.fixture
def corner(astronaut: np.ndarray) -> np.ndarray:
    """A head far from the optical axis."""
    image = np.zeros_like(astronaut)
    image[:300, :300] = astronaut[:300, 80:380]
    return image


@pytest.fixture
def heads(start: Start, probe: Probe, corner: np.ndarray, numbers: Iterator[int]) -> Heads:
    """Changes parameters, which are taken, and gives the heads in the next image."""
    start(probe.namespace, latency_budget=60_000.0)
    probe.until_ready()
    probe.calibrate(camera_info(512, 512, 500.0))

    def heads(image: np.ndarray = corner, **changed: object) -> list[Any]:
        assert probe.set_parameters(**changed) == [""] * len(changed)
        return list(probe.ask(image_message(image, next(numbers))).heads)

    return heads


def test_live_detector_settings_act_on_the_next_image(heads: Heads, corner: np.ndarray) -> None:
    (head,) = heads()
    assert heads(detector__score_threshold=1.0) == []
    assert heads(detector__score_threshold=0.6, detector__min_face_size=400.0) == []
    assert heads(detector__min_face_size=24.0, detector__max_side=32) == []
    (again,) = heads(detector__max_side=640)
    assert again.face_id == head.face_id
    assert len(heads(detect_every=1000)) == len(heads()) == 1
    assert heads(detector__min_face_size=400.0) == []
    heads(detector__min_face_size=24.0, detect_every=1)

    threshold = head.face_score - 0.02
    on_its_side = cv2.rotate(corner, cv2.ROTATE_90_CLOCKWISE)
    assert heads(on_its_side, detector__score_threshold=threshold) == []
    assert len(heads(on_its_side, detector__image_turn=270)) == 1
    assert heads(on_its_side, detector__image_turn=0) == []
    assert len(heads(on_its_side, detector__turns=4)) == 1


def test_live_pose_settings_act_on_the_next_image(heads: Heads) -> None:
    (near,) = heads(face_height=0.1)
    (far,) = heads(face_height=0.2)
    assert far.position.z == pytest.approx(2 * near.position.z, rel=1e-3)
    assert far.perspective_corrected
    (plain,) = heads(perspective_correction=False)
    assert not plain.perspective_corrected
    assert plain.orientation != far.orientation


def test_live_filter_settings_act_on_the_next_image(heads: Heads, corner: np.ndarray) -> None:
    bright = np.minimum(corner.astype(int) + 40, 255).astype(np.uint8)  # another pose

    def last_turn(**changed: object) -> float:
        """How far message angles go when the pose jumps."""
        (before,) = heads(**changed)
        (after,) = heads(bright)
        return float(abs(after.yaw - before.yaw))

    heads(filter__min_cutoff=0.01, filter__beta=0.0)
    slow = last_turn()
    free = last_turn(filter__enabled=False)
    assert free > 0.05
    assert slow < 0.1 * free
    assert last_turn(filter__enabled=True, filter__min_cutoff=1000.0) > 0.9 * free


def test_live_latency_settings_and_tf_act_at_once(heads: Heads, probe: Probe) -> None:
    heads()
    probe.until_values(images_processed=len(probe.poses))
    assert probe.status.level == b"\x00"
    heads(latency_budget=1.0, latency_grace=1e6)

    def warned() -> bool:
        heads()  # else the silence would be what is the matter
        return "the budget is 1 ms" in probe.status.message

    probe.until(warned, "a warning of the budget")
    assert probe.status.level == b"\x01"

    probe.until(lambda: probe.transforms, "TF")
    heads(publish_tf=False)
    probe.transforms.clear()
    heads()
    heads(publish_tf=True)
    probe.until(lambda: probe.transforms, "TF again")
    (transform,) = (t for t in probe.transforms.values() if t.child_frame_id.startswith("face"))
    assert transform.header.stamp == probe.poses[-1].header.stamp


def test_services(
    start: Start, probe: Probe, astronaut: np.ndarray, numbers: Iterator[int]
) -> None:
    """Tracks are forgotten, images are not listened to, and configuring takes what was set."""
    start(probe.namespace)
    probe.until_ready()

    def face() -> str:
        (head,) = probe.ask(image_message(astronaut, next(numbers))).heads
        return head.face_id

    first = face()
    assert face() == first
    assert probe.call("reset_tracks", Trigger.Request()).success
    second = face()
    assert second != first
    assert face() == second

    for _ in range(2):  # twice is as good as once
        answer = probe.call("set_enabled", SetBool.Request(data=False))
        assert (answer.success, answer.message) == (True, "disabled, active")
    probe.until(lambda: not probe.heard(), "the node stops listening")
    probe.until_values(enabled="False", state="active")
    probe.until(lambda: probe.status.message == "disabled", "the status says so")
    assert probe.status.level == b"\x00"
    assert probe.call("set_enabled", SetBool.Request(data=True)).success
    probe.until_ready()
    assert face() == second

    assert probe.set_parameters(id_prefix="other") == [""]
    assert face() == second  # not yet
    assert probe.call("set_enabled", SetBool.Request(data=False)).success
    for transition in ("deactivate", "cleanup"):
        assert probe.change_state(transition)
    answer = probe.call("reset_tracks", Trigger.Request())
    assert not answer.success
    assert "unconfigured" in answer.message
    for transition in ("configure", "activate"):
        assert probe.change_state(transition)
    assert not probe.heard()  # disabled is disabled
    assert probe.call("set_enabled", SetBool.Request(data=True)).success
    probe.until_ready()
    assert face() == "other1"


def test_enabling_that_cannot_listen_is_answered_with_the_reason(
    start: Start, probe: Probe
) -> None:
    override = f"qos_overrides.{probe.namespace}/image.subscription.reliability:=always"
    start(probe.namespace, autostart=False, arguments=("-p", override))
    assert probe.call("set_enabled", SetBool.Request(data=False)).success
    assert probe.change_state("configure")
    assert probe.change_state("activate")
    answer = probe.call("set_enabled", SetBool.Request(data=True))
    assert not answer.success
    assert answer.message.startswith("cannot be enabled: ")
    assert "always" in answer.message
    probe.until_values(enabled="False", state="active")
    assert probe.status.message == "disabled"
