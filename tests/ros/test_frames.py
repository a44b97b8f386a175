# SPDX-License-Identifier: Apache-2.0
"""The camera's orientation in a fixed frame, from transforms as TF sends them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from geometry_msgs.msg import Quaternion, TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSReliabilityPolicy
from scipy.spatial.transform import Rotation, Slerp
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from headpose_ros.tf_rotations import FixedFrame, Rotations
from tests.ros.graph import Probe, ros_parameters

SECOND = 10**9
RNG = np.random.default_rng(0)
TILT, PAN, MOUNT, OTHER = Rotation.random(4, random_state=3)


def header(frame: str, stamp_ns: int = 0) -> Header:
    message = Header(frame_id=frame)
    message.stamp.sec, message.stamp.nanosec = divmod(stamp_ns, SECOND)
    return message


def transform(parent: str, child: str, rotation: Rotation, stamp_ns: int = 0) -> TFMessage:
    """One transform, as a broadcaster sends it; the place does not matter here."""
    x, y, z, w = map(float, rotation.as_quat())
    message = TransformStamped(header=header(parent, stamp_ns), child_frame_id=child)
    message.transform.translation.x = 7.0
    message.transform.rotation = Quaternion(x=x, y=y, z=z, w=w)
    return TFMessage(transforms=[message])


@pytest.fixture
def robot() -> Rotations:
    """odom -> base -> head (moves, 10 Hz from 1 s to 3 s) -> camera; base -> arm."""
    rotations = Rotations()
    rotations.add(transform("base", "mount", MOUNT), static=True)
    rotations.add(transform("head", "camera", TILT), static=True)
    rotations.add(transform("base", "arm", OTHER), static=True)
    for i in range(21):
        stamp_ns = SECOND + i * SECOND // 10
        turn = Rotation.from_rotvec([0.0, 0.02 * i, 0.1 * i])
        rotations.add(transform("mount", "head", PAN * turn, stamp_ns), static=False)
        rotations.add(transform("odom", "base", turn.inv(), stamp_ns), static=False)
    return rotations


def expected(seconds: float, target: str = "odom") -> np.ndarray:
    times = 1.0 + np.arange(21) / 10
    turns = Rotation.from_rotvec([[0.0, 0.02 * i, 0.1 * i] for i in range(21)])
    head = Slerp(times, PAN * turns)(seconds)
    in_base = MOUNT * head * TILT
    base = Slerp(times, turns.inv())(seconds)
    return {
        "odom": base * in_base,
        "base": in_base,
        "arm": OTHER.inv() * in_base,
        "camera": Rotation.identity(),
    }[target].as_matrix()


@pytest.mark.parametrize("target", ["odom", "base", "arm", "camera"])
@pytest.mark.parametrize("seconds", [1.0, 1.3, 1.777, 3.0])
def test_along_the_tree_and_between_two_stamps(
    robot: Rotations, target: str, seconds: float
) -> None:
    axes = robot.lookup(target, "camera", round(seconds * SECOND))
    np.testing.assert_allclose(axes, expected(seconds, target), atol=1e-9)


def test_an_image_a_little_ahead_takes_the_newest(robot: Rotations) -> None:
    axes = robot.lookup("odom", "camera", round(3.45 * SECOND))
    np.testing.assert_allclose(axes, expected(3.0), atol=1e-9)


def test_a_stamp_of_zero_takes_the_newest(robot: Rotations) -> None:
    np.testing.assert_allclose(robot.lookup("odom", "camera", 0), expected(3.0), atol=1e-9)


@pytest.mark.parametrize(
    ("seconds", "target", "source", "reason"),
    [
        (
            3.6,
            "odom",
            "camera",
            "newest transform of '(head|base)' is 0.60 s older than the image",
        ),
        (
            0.9,
            "odom",
            "camera",
            "oldest transform of '(head|base)' is 0.10 s newer than the image",
        ),
        (2.0, "map", "camera", "'camera' is not known in 'map': 'map' not in TF"),
        (2.0, "odom", "lens", "'lens' not in TF"),
        (2.0, "odom", "", "'' not in TF"),
        (2.0, "island", "camera", "TF does not link them"),
    ],
)
def test_what_is_not_known_is_said(
    robot: Rotations, seconds: float, target: str, source: str, reason: str
) -> None:
    robot.add(transform("sea", "island", PAN), static=True)
    with pytest.raises(LookupError, match=reason):
        robot.lookup(target, source, round(seconds * SECOND))


def test_only_the_way_between_the_two_frames_must_be_known(robot: Rotations) -> None:
    """odom is late, but nobody asked for it."""
    for i in range(21, 51):
        turn = Rotation.from_rotvec([0.0, 0.02 * i, 0.1 * i])
        stamp_ns = SECOND + i * SECOND // 10
        robot.add(transform("mount", "head", PAN * turn, stamp_ns), static=False)
    assert np.isfinite(robot.lookup("base", "camera", 5 * SECOND)).all()
    with pytest.raises(LookupError, match=r"'base' is 2\.00 s older"):
        robot.lookup("odom", "camera", 5 * SECOND)


def test_transforms_that_come_late_find_their_place() -> None:
    rotations = Rotations()
    turns = Rotation.from_rotvec([[0.0, 0.0, 0.1 * i] for i in range(4)])
    for i in (0, 3, 1, 2, 2):
        rotations.add(transform("base", "camera", turns[i], i * SECOND // 4 + 1), static=False)
    for i in range(4):
        axes = rotations.lookup("base", "camera", i * SECOND // 4 + 1)
        np.testing.assert_allclose(axes, turns[i].as_matrix(), atol=1e-9)


def test_both_signs_of_a_quaternion_are_one_rotation() -> None:
    rotations = Rotations()
    for i, sign in enumerate((1.0, -1.0)):
        message = transform("base", "camera", PAN, i * SECOND + 1)
        q = message.transforms[0].transform.rotation
        q.x, q.y, q.z, q.w = (sign * part for part in (q.x, q.y, q.z, q.w))
        rotations.add(message, static=False)
    axes = rotations.lookup("base", "camera", SECOND // 2)
    np.testing.assert_allclose(axes, PAN.as_matrix(), atol=1e-9)


def test_when_time_is_set_back_the_old_transforms_are_forgotten(robot: Rotations) -> None:
    robot.add(transform("mount", "head", OTHER, SECOND // 2), static=False)
    axes = robot.lookup("base", "camera", SECOND // 2)
    np.testing.assert_allclose(axes, (MOUNT * OTHER * TILT).as_matrix(), atol=1e-9)
    with pytest.raises(LookupError, match="older"):
        robot.lookup("base", "camera", 2 * SECOND)


def test_a_frame_may_move_to_another_parent(robot: Rotations) -> None:
    robot.add(transform("arm", "camera", PAN), static=True)
    axes = robot.lookup("base", "camera", SECOND)
    np.testing.assert_allclose(axes, (OTHER * PAN).as_matrix(), atol=1e-9)


def test_a_loop_ends() -> None:
    rotations = Rotations()
    rotations.add(transform("a", "b", PAN), static=True)
    rotations.add(transform("b", "a", PAN), static=True)
    with pytest.raises(LookupError, match="not link"):
        rotations.add(transform("c", "d", PAN), static=True)
        rotations.lookup("c", "a", SECOND)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, 3.0])
def test_what_is_no_quaternion_is_refused_and_told(robot: Rotations, bad: float) -> None:
    message = transform("mount", "head", PAN, 4 * SECOND)
    message.transforms[0].transform.rotation = Quaternion(x=bad, y=0.0, z=0.0, w=0.0)
    assert robot.add(message, static=False) == ["head"]
    np.testing.assert_allclose(robot.lookup("odom", "camera", 0), expected(3.0), atol=1e-9)


def test_memory_is_bounded() -> None:
    """A fast joint for a minute, and faces that come and go, as this node's own do."""
    rotations = Rotations()
    for i in range(6000):
        stamp_ns = (i + 1) * SECOND // 100
        rotations.add(transform("base", "camera", PAN, stamp_ns), static=False)
        rotations.add(transform("camera", f"face_f{i // 10}", PAN, stamp_ns), static=False)
    assert len(rotations._edges["camera"].stamps_ns) <= 1001
    assert len(rotations) < 120
    rotations.add(transform("base", "camera", PAN, SECOND), static=False)  # set back to 1 s
    rotations.add(transform("camera", "face_f600", PAN, SECOND), static=False)
    assert len(rotations) == 2


def test_over_the_wire(probe: Probe) -> None:
    """Static transforms that were sent before it listens are heard; unknown ones are NaN."""
    from rclpy.qos import QoSDurabilityPolicy, QoSProfile

    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    static = probe.node.create_publisher(TFMessage, "/tf_static", latched)
    static.publish(transform("tower", "eye", TILT))
    moving = probe.node.create_publisher(TFMessage, "/tf", 100)
    frame = FixedFrame(probe.node, "ground")
    assert np.isnan(frame.orientation(header("eye", SECOND))).all()
    assert "'ground'" in frame.problem

    def known() -> bool:
        moving.publish(transform("ground", "tower", PAN, SECOND))
        return bool(np.isfinite(frame.orientation(header("eye", SECOND))).all())

    probe.until(known, "transforms")
    np.testing.assert_allclose(
        frame.orientation(header("eye", SECOND)), (PAN * TILT).as_matrix(), atol=1e-9
    )
    assert frame.problem == ""
    frame.destroy()


def test_quality_of_service_can_be_overridden(probe: Probe) -> None:
    overrides = {
        "qos_overrides./tf.subscription.reliability": "best_effort",
        "qos_overrides./tf_static.subscription.depth": 7,
    }
    node = Node(
        "listener",
        namespace=probe.namespace,
        context=probe.context,
        parameter_overrides=ros_parameters(overrides),
    )
    FixedFrame(node, "base")
    qos = {listener.topic_name: listener.qos_profile for listener in node.subscriptions}
    assert qos["/tf"].reliability == QoSReliabilityPolicy.BEST_EFFORT
    assert qos["/tf_static"].reliability == QoSReliabilityPolicy.RELIABLE
    assert (qos["/tf"].depth, qos["/tf_static"].depth) == (100, 7)
    node.destroy_node()
