# SPDX-License-Identifier: Apache-2.0
"""Every transition in every state; what happens when the device fails or never comes back."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("rclpy", reason="needs ROS 2")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn

from headpose_ros.node import HeadPoseNode
from tests.ros import faulty_node
from tests.ros.graph import NodeProcess, Probe, image_message, ros_parameters
from tests.tiny_models import tiny_model

Start = Callable[..., NodeProcess]

# By state: what each transition that it has leads to.
MACHINE = {
    "unconfigured": {"configure": "inactive"},
    "inactive": {"activate": "active", "cleanup": "unconfigured"},
    "active": {"deactivate": "inactive"},
}
TRANSITIONS = ("configure", "activate", "deactivate", "cleanup")
ROUND = ("configure", "cleanup", "configure", "activate", "deactivate", "activate")


def refuse_all(probe: Probe, state: str) -> None:
    """Each transition that the state does not have is answered and changes nothing."""
    for transition in TRANSITIONS:
        if transition not in MACHINE.get(state, {}):
            assert not probe.change_state(transition)
            assert probe.state() == state


def test_every_transition_in_every_state(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    """Each that a state has, twice in a row; each that it has not, in every state."""
    start(probe.namespace, autostart=False)
    assert probe.state() == "unconfigured"
    ids = set()
    for number in range(2):
        for transition in ROUND:
            before = probe.state()
            refuse_all(probe, before)
            assert probe.change_state(transition)
            assert probe.state() == MACHINE[before][transition]
        probe.until_ready()
        (head,) = probe.ask(image_message(astronaut, number)).heads
        ids.add(head.face_id)
        refuse_all(probe, "active")
        assert probe.change_state("deactivate")
        assert probe.change_state("cleanup")
    assert len(ids) == 2  # none is given twice
    nonsense = ChangeState.Request(transition=Transition(label="fly"))
    assert not probe.call("change_state", nonsense).success
    assert not probe.call(
        "change_state", ChangeState.Request(transition=Transition(id=99))
    ).success
    assert probe.change_state("unconfigured_shutdown")
    refuse_all(probe, "finalized")
    probe.until_values(state="finalized")


@pytest.mark.parametrize("state", ["inactive", "active"])
def test_shutdown_from_each_state(start: Start, probe: Probe, state: str) -> None:
    node = start(probe.namespace, autostart=state == "active")
    probe.until_values(state="active" if state == "active" else "unconfigured")
    if state == "inactive":
        assert probe.change_state("configure")
    assert probe.change_state(f"{state}_shutdown")
    assert probe.state() == "finalized"
    assert node.end() == 0


@pytest.mark.parametrize(
    "topic", ["{namespace}/head_pose/debug_image.publisher", "/tf_static.subscription"]
)
def test_configuring_that_fails_leaves_nothing(
    ros: Context, probe: Probe, tiny_model_file: Path, topic: str
) -> None:
    """The last publisher or subscription that it makes cannot be had: the others go, too."""
    override = f"qos_overrides.{topic.format(namespace=probe.namespace)}.reliability"
    parameters = {"model": str(tiny_model_file), "filter.frame": "base", override: "always"}
    node = HeadPoseNode(
        context=ros, namespace=probe.namespace, parameter_overrides=ros_parameters(parameters)
    )
    before = [*node.publishers, *node.subscriptions]
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert [*node.publishers, *node.subscriptions] == before
    node.destroy_node()


def bright_model(path: Path, nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> Path:
    """The tiny model with `nodes` behind it, which get `bright`, 1 for faces brighter than 60 of
    255 and else 0, int64, and what was `logits` as `plain`."""
    model = tiny_model()
    graph = model.graph
    graph.node[-1].output[0] = "plain"
    given = {"limit": np.float32(60), **constants}
    graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in given.items())
    graph.node.extend(
        [
            helper.make_node("ReduceMax", ["mean"], ["most"], keepdims=0),
            helper.make_node("Greater", ["most", "limit"], ["above"]),
            helper.make_node("Cast", ["above"], ["bright"], to=TensorProto.INT64),
            *nodes,
        ]
    )
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def failing_model(tmp_path: Path) -> Path:
    """ONNX Runtime fails at bright faces: the index 5 of a list of one."""
    nodes = [
        helper.make_node("Mul", ["bright", "five"], ["index"]),
        helper.make_node("Gather", ["zero", "index"], ["nothing"]),
        helper.make_node("Add", ["plain", "nothing"], ["logits"]),
    ]
    constants = {"five": np.int64(5), "zero": np.zeros(1, np.float32)}
    return bright_model(tmp_path / "failing.onnx", nodes, constants)


@pytest.fixture
def endless_model(tmp_path: Path) -> Path:
    """ONNX Runtime computes for years at bright faces."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["still"]),
            helper.make_node("Sin", ["x"], ["y"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, []),
        ],
    )
    nodes = [
        helper.make_node("Mul", ["bright", "years"], ["times"]),
        helper.make_node("Loop", ["times", "", "start"], ["end"], body=body),
        helper.make_node("Mul", ["end", "nought"], ["nothing"]),
        helper.make_node("Add", ["plain", "nothing"], ["logits"]),
    ]
    constants = {
        "years": np.int64(10**15),
        "start": np.float32(1),
        "nought": np.float32(0),
    }
    return bright_model(tmp_path / "endless.onnx", nodes, constants)


def dark(image: np.ndarray) -> np.ndarray:
    """So that the face is found, and below 60 on average."""
    return image // 4


def test_a_model_that_fails_can_be_configured_again(
    start: Start, probe: Probe, failing_model: Path, astronaut: np.ndarray
) -> None:
    node = start(probe.namespace, model=failing_model, backend="onnxruntime")
    probe.until_ready()
    assert len(probe.ask(image_message(dark(astronaut), 0)).heads) == 1
    probe.send(image_message(astronaut, 1))
    values = probe.until_values(state="unconfigured", images_failed=1)
    assert values["images_processed"] == "1"
    assert probe.status.level == b"\x02"
    assert "the device cpu failed" in probe.status.message
    assert "out of data bounds" in probe.status.message
    assert "[ERROR]" in node.output()
    assert probe.state() == "unconfigured"
    assert probe.change_state("configure")
    assert probe.change_state("activate")
    probe.until_ready()
    assert len(probe.ask(image_message(dark(astronaut), 2)).heads) == 1
    assert probe.status.level == b"\x00"


def asked(node: NodeProcess) -> list[str]:
    """For which devices the pose network was loaded."""
    return re.findall(r"^asked (\S+)$", node.output(), re.MULTILINE)


def test_the_cpu_takes_over_from_a_device_that_fails(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    command = faulty_node.command(faulty_node.device)
    node = start(probe.namespace, command=command, device="cuda")
    probe.until_ready()
    probe.send(image_message(astronaut, 0))
    values = probe.until_values(images_failed=1, device="cpu")
    assert (values["device_asked"], values["state"]) == ("cuda", "active")
    assert probe.status.level == b"\x01"
    assert "CUDA error 700" in probe.status.message
    assert "the CPU has taken over" in probe.status.message
    assert "[ERROR]" in node.output()
    assert len(probe.ask(image_message(astronaut, 1)).heads) == 1
    assert asked(node) == ["cuda", "cpu"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("DeviceError", "no such thing"),
        ("MemoryError", "MemoryError: no such thing"),
        ("RuntimeError", "RuntimeError: no such thing"),
    ],
)
def test_a_cpu_that_cannot_take_over_ends_unconfigured(
    start: Start, probe: Probe, astronaut: np.ndarray, error: str, told: str
) -> None:
    """Whatever the runtime raises."""
    command = faulty_node.command(faulty_node.device, error)
    start(probe.namespace, command=command, device="cuda")
    probe.until_ready()
    probe.send(image_message(astronaut))
    probe.until_values(state="unconfigured", images_failed=1)
    assert probe.status.level == b"\x02"
    assert f"and the CPU cannot take over: {told}; the node can be" in probe.status.message


@pytest.mark.parametrize("cpu_error", [(), ("DeviceError",)])
def test_an_old_device_is_nothing_to_a_node_configured_anew(
    start: Start, probe: Probe, astronaut: np.ndarray, tmp_path: Path, cpu_error: tuple[str, ...]
) -> None:
    command = faulty_node.command(faulty_node.late, tmp_path, *cpu_error)
    node = start(probe.namespace, command=command, device="cuda")
    probe.until_ready()
    probe.send(image_message(astronaut))
    probe.until(lambda: "image not used" in node.output(), "the failure")
    for transition in ("deactivate", "cleanup", "configure", "activate"):
        assert probe.change_state(transition)
    probe.until_ready()
    (tmp_path / "open").touch()
    probe.until((tmp_path / "done").exists, "the end of the old one")
    for _ in range(2):
        probe.status = None  # what is said from now on
        probe.until_values(state="active", device="cuda")
    assert probe.state() == "active"
    assert "take over" not in node.output()
    assert "taken over" not in node.output()


def test_without_fallback_a_device_that_fails_ends_unconfigured(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    command = faulty_node.command(faulty_node.device)
    node = start(probe.namespace, command=command, device="cuda", allow_cpu_fallback=False)
    probe.until_ready()
    probe.send(image_message(astronaut, 0))
    probe.until_values(state="unconfigured", images_failed=1)
    assert probe.status.level == b"\x02"
    assert "the device cuda failed (CUDA error 700" in probe.status.message
    assert "[ERROR]" in node.output()
    assert probe.set_parameters(device="cpu") == [""]
    assert probe.change_state("configure")
    assert probe.change_state("activate")
    probe.until_ready()
    assert len(probe.ask(image_message(astronaut, 1)).heads) == 1
    assert asked(node) == ["cuda", "cpu"]


def test_an_inference_without_end_holds_nothing_up(
    start: Start, probe: Probe, endless_model: Path, astronaut: np.ndarray
) -> None:
    """Deactivating and ending do not wait for it, and nothing comes of it."""
    node = start(probe.namespace, model=endless_model, backend="onnxruntime")
    probe.until_ready()
    for number in range(2):
        assert len(probe.ask(image_message(dark(astronaut), 2 * number)).heads) == 1
        probe.send(image_message(astronaut, 2 * number + 1))
        probe.until_values(images_in=2 * number + 2, images_processed=number + 1)
        assert probe.change_state("deactivate")
        assert probe.change_state("cleanup")
        assert probe.change_state("configure")
        assert probe.change_state("activate")
        probe.until_ready()
    assert len(probe.poses) == 2
    assert node.end(signal.SIGTERM) == 0
    assert "Traceback" not in node.output()
