# SPDX-License-Identifier: Apache-2.0
"""The launch file, and the layouts that it opens. Without ROS 2's launch most of it is skipped."""

from __future__ import annotations

import json
import re
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import yaml
from rclpy.context import Context

from tests.ros.graph import PATIENCE_S, REPOSITORY, Probe, image_message

LAUNCH_FILE = REPOSITORY / "launch" / "headpose.launch.py"
CONFIG = REPOSITORY / "config"


@pytest.fixture
def launch_setup() -> Callable[..., list[Any]]:
    """The actions for arguments that are given as to `ros2 launch`."""
    launch = pytest.importorskip("launch", reason="needs ROS 2's launch")
    pytest.importorskip("launch_ros", reason="needs ROS 2's launch_ros")
    definitions = runpy.run_path(str(LAUNCH_FILE))
    definitions["launch_setup"].__globals__["get_package_share_directory"] = lambda name: str(
        REPOSITORY
    )

    def launch_setup(**given: str) -> list[Any]:
        context = launch.LaunchContext()
        context.launch_configurations.update(given)
        for argument in definitions["generate_launch_description"]().get_launch_arguments():
            assert argument.description
            argument.visit(context)
        return [parts(action, context) for action in definitions["launch_setup"](context)]

    return launch_setup


def parts(action: Any, context: Any) -> dict[str, Any]:
    """What an action starts, its substitutions done."""
    from launch.substitutions import LocalSubstitution
    from launch.utilities import perform_substitutions
    from launch_ros.actions import Node
    from launch_ros.substitutions import ExecutableInPackage

    if isinstance(action, Node):
        action._perform_substitutions(context)
    commands = [
        perform_substitutions(context, part)
        for part in action.cmd
        # These are known when it runs, and where the package is installed.
        if not any(isinstance(text, (LocalSubstitution, ExecutableInPackage)) for text in part)
    ]
    ((_, text),) = action.additional_env or [("", "")]
    transport = perform_substitutions(context, text)
    if not isinstance(action, Node):
        return {"command": commands, "transport": transport}
    parameters: dict[str, Any] = {}
    for path in commands:
        if Path(path).name.startswith("launch_params_"):
            for node in yaml.safe_load(Path(path).read_text()).values():
                parameters |= node["ros__parameters"]
    return {
        "executable": action.node_executable,
        "namespace": action.expanded_node_namespace,
        "parameters": parameters,
        "remappings": dict(action.expanded_remapping_rules or []),
        "command": commands,
        "transport": transport,
    }


def test_nothing_given(launch_setup: Callable[..., list[Any]]) -> None:
    """Parameters come from the file alone."""
    (node,) = launch_setup()
    assert node["transport"].startswith("LARGE_DATA")
    assert node["executable"] == "headpose_node"
    assert node["parameters"] == {}
    assert str(CONFIG / "headpose.yaml") in node["command"]


def test_only_what_was_given_is_passed_on(launch_setup: Callable[..., list[Any]]) -> None:
    given = {"model": "other.onnx", "device": "cpu", "image_transport": "compressed"}
    switches = {"autostart": "false", "publish_hri": "true", "use_sim_time": "true"}
    (node,) = launch_setup(**given, **switches, image="image_raw", log_level="debug")
    assert node["parameters"] == {
        **given,
        "autostart": False,
        "publish_hri": True,
        "use_sim_time": True,
    }
    assert node["remappings"] == {"image": "image_raw", "camera_info": "camera_info"}
    assert "debug" in node["command"]


def test_a_list_of_cameras(launch_setup: Callable[..., list[Any]]) -> None:
    """Each in its own namespace, with ids of its own."""
    nodes = launch_setup(cameras="front, rear", namespace="car", model="other.onnx", viz="rviz")
    front, rear, rviz = nodes
    assert [n["namespace"] for n in nodes] == ["/car/front", "/car/rear", "/car/front"]
    assert front["parameters"] == {"model": "other.onnx", "id_prefix": "front_f"}
    assert rear["parameters"] == {"model": "other.onnx", "id_prefix": "rear_f"}
    assert rviz["executable"] == "rviz2"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "/robot/front"),
        ({"namespace": "car/"}, "/robot/car/front"),
        ({"namespace": "/car"}, "/car/front"),
        ({"namespace": "/"}, "/front"),
    ],
)
def test_cameras_are_in_the_namespace_that_was_pushed(
    launch_setup: Callable[..., list[Any]], given: dict[str, str], expected: str
) -> None:
    (node,) = launch_setup(cameras="front", ros_namespace="/robot", **given)
    assert node["namespace"] == expected


def test_viewers_and_bag(launch_setup: Callable[..., list[Any]]) -> None:
    """With the bag's time; Foxglove is heard on this machine alone."""
    node, bridge, bag = started = launch_setup(viz="foxglove", bag="drive.mcap")
    assert len({one["transport"] for one in started}) == 1
    assert node["parameters"] == {"use_sim_time": True}
    assert bridge["executable"] == "foxglove_bridge"
    assert bridge["parameters"] == {"address": "127.0.0.1", "port": 8765, "use_sim_time": True}
    assert bag["command"][:4] == ["ros2", "bag", "play", "drive.mcap"]
    assert "--clock" in bag["command"]
    _, rviz = launch_setup(viz="rviz", viz_frame="front_optical")
    assert str(CONFIG / "headpose.rviz") in rviz["command"]
    assert "front_optical" in rviz["command"]
    assert rviz["parameters"] == {"use_sim_time": False}


class Launch:
    """`ros2 launch` of this file as a process, with what it prints."""

    def __init__(self, log: Path, *arguments: str) -> None:
        ros2 = "import sys; from ros2cli.cli import main; sys.exit(main())"
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", ros2, "launch", str(LAUNCH_FILE), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def nodes(self) -> list[int]:
        """The process numbers of the nodes."""
        started = re.findall(
            r"headpose_node-\d+\]: process started with pid \[(\d+)\]", self.log.read_text()
        )
        return [int(pid) for pid in started]


@pytest.fixture
def ros2_launch(ros: Context, tmp_path: Path) -> Iterator[Callable[..., Launch]]:
    pytest.importorskip("ros2launch", reason="needs ROS 2's launch command")
    started: list[Launch] = []

    def start(*arguments: str) -> Launch:
        started.append(Launch(tmp_path / "launch.log", *arguments))
        return started[-1]

    yield start
    for launch in started:
        if launch.process.poll() is None:
            launch.process.send_signal(signal.SIGINT)  # SIGTERM would leave its nodes behind
            launch.process.wait(PATIENCE_S)


def test_two_cameras_are_launched_and_end_with_ctrl_c(
    ros2_launch: Callable[..., Launch], ros: Context, tiny_model_file: Path, astronaut: np.ndarray
) -> None:
    probes = [Probe(ros, f"/launched/{name}") for name in ("front", "rear")]
    launch = ros2_launch(
        "namespace:=launched", "cameras:=front,rear", f"model:={tiny_model_file}", "device:=cpu"
    )
    try:
        for probe, name in zip(probes, ("front", "rear"), strict=True):
            probe.until_ready()
            (head,) = probe.ask(image_message(astronaut)).heads
            assert head.face_id == f"{name}_f1"
            assert probe.values()["device_asked"] == "cpu"
    finally:
        for probe in probes:
            probe.close()
    assert len(launch.nodes()) == 2
    for pid in launch.nodes():
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert any(v.startswith(b"FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA") for v in environment)
    launch.process.send_signal(signal.SIGINT)
    assert launch.process.wait(PATIENCE_S) == 0
    text = launch.log.read_text()
    assert text.count("process has finished cleanly") == 2, text
    assert "Traceback" not in text


def test_transport_of_the_user_is_kept(
    ros2_launch: Callable[..., Launch],
    ros: Context,
    tiny_model_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "SHM")
    probe = Probe(ros, "/kept")
    launch = ros2_launch("namespace:=kept", f"model:={tiny_model_file}")
    try:
        probe.until_values(state="active")
    finally:
        probe.close()
    (pid,) = launch.nodes()
    assert b"\0FASTDDS_BUILTIN_TRANSPORTS=SHM\0" in Path(f"/proc/{pid}/environ").read_bytes()


def node_topics() -> set[str]:
    """What the documentation of the node says that it publishes, relative."""
    text = (REPOSITORY / "docs" / "node.md").read_text()
    return {name.strip("/") for name in re.findall(r"^\| `([\w/]+)` \| \w+/\w+ \|", text, re.M)}


def test_rviz_shows_what_the_node_publishes() -> None:
    manager = yaml.safe_load((CONFIG / "headpose.rviz").read_text())["Visualization Manager"]
    displays = {d["Class"].split("/")[1]: d for d in manager["Displays"]}
    assert {"Image", "TF", "MarkerArray"} <= set(displays)
    for display in displays.values():
        if "Topic" in display:
            topic = display["Topic"]["Value"]
            assert topic in node_topics()  # relative: the launch file gives the namespace
    # A reliable reader hears nothing from a best effort writer.
    assert displays["Image"]["Topic"]["Reliability Policy"] == "Best Effort"


def test_foxglove_shows_what_the_node_publishes() -> None:
    layout = json.loads((CONFIG / "headpose_foxglove.json").read_text())
    panels = layout["configById"]
    assert set(leaves(layout["layout"])) == set(panels)
    heads, image = panels["3D!heads"], panels["Image!debug_image"]
    topics = [*heads["topics"], image["imageMode"]["imageTopic"]]
    topics += [path["value"].split(".")[0] for path in panels["Plot!angles"]["paths"]]
    topics.append(panels["DiagnosticSummary!status"]["topicToRender"])
    assert {topic.strip("/") for topic in topics} <= node_topics()
    fields = (REPOSITORY / "msg" / "HeadPose.msg").read_text()
    for path in panels["Plot!angles"]["paths"]:
        assert re.search(rf"\b{path['value'].split('.')[-1]}\b", fields)


def leaves(layout: Any) -> Iterator[str]:
    """The panels of a layout, which is a panel or has two halves."""
    if isinstance(layout, str):
        yield layout
    else:
        yield from leaves(layout["first"])
        yield from leaves(layout["second"])
