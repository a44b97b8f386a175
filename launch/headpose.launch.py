# SPDX-License-Identifier: Apache-2.0
"""Starts the node, one per camera. Arguments become remappings and parameters of the node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
)
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

# The default of 512 KB of shared memory drops most images of a megapixel camera. What the user has
# set holds, and what else is launched beside this file keeps its own.
TRANSPORTS = {
    "FASTDDS_BUILTIN_TRANSPORTS": EnvironmentVariable(
        "FASTDDS_BUILTIN_TRANSPORTS",
        default_value="LARGE_DATA?max_msg_size=4MB&sockets_size=4MB",
    )
}

# Parameters of the node that can be given here too. Empty: as in params_file.
OVERRIDES = {
    "model": (str, "pose network: ehpnet_resnet18, ehpnet_lite, or the path of an ONNX file"),
    "device": (str, "where the network runs: auto, tensorrt, cuda, cpu"),
    "image_transport": (str, "raw, or compressed: takes the topic <image>/compressed"),
    "publish_hri": (bool, "true: the topics of REP-155 too, needs the package hri_msgs"),
    "autostart": (bool, "false: a lifecycle manager configures and activates the node"),
    "use_sim_time": (bool, "true: take the time from /clock"),
}


def generate_launch_description() -> LaunchDescription:
    arguments = {
        "namespace": ("", "of the nodes and their topics"),
        "cameras": (
            "",
            "a list such as front,rear: a node for each, in a namespace of that name, "
            "with face ids that begin with it; empty: one node",
        ),
        "image": ("image", "topic of the images (sensor_msgs/Image), relative to the namespace"),
        "camera_info": ("camera_info", "topic of their calibration (sensor_msgs/CameraInfo)"),
        "params_file": (str(config("headpose.yaml")), "YAML file with parameters of the node"),
        **{
            name: ("", f"{text}; empty: as in params_file")
            for name, (_, text) in OVERRIDES.items()
        },
        "viz": (
            "none",
            "what shows the heads of the first camera: none, rviz, or foxglove by a bridge",
        ),
        "viz_frame": ("camera_optical_frame", "fixed frame of RViz: the one of the images"),
        "bag": ("", "path of a bag to play, with its own time; empty: none"),
        "log_level": ("info", "debug, info, warn, error or fatal"),
    }
    choices = {"viz": ["none", "rviz", "foxglove"]}
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    name, default_value=default, description=text, choices=choices.get(name)
                )
                for name, (default, text) in arguments.items()
            ),
            OpaqueFunction(function=launch_setup),
        ]
    )


def config(name: str) -> Path:
    """A file of this package's folder config."""
    return Path(get_package_share_directory("headpose_ros")) / "config" / name


def launch_setup(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """What the arguments ask for: a node per camera, a viewer, a bag."""
    argument = context.launch_configurations
    namespace, bag = argument["namespace"], argument["bag"]
    namespace = namespace.rstrip("/") or namespace[:1]
    given: dict[str, Any] = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, (kind, _) in OVERRIDES.items()
        if argument[name]
    }
    if bag:
        given.setdefault("use_sim_time", True)
    names = argument["cameras"].replace(",", " ").split()
    inside = namespace and namespace.rstrip("/") + "/"
    cameras = {f"{inside}{name}": {**given, "id_prefix": f"{name}_f"} for name in names}
    cameras = cameras or {namespace: given}
    return [
        *(head_pose(*camera) for camera in cameras.items()),
        *viewer(argument["viz"], next(iter(cameras)), given.get("use_sim_time", False)),
        *([play(bag)] if bag else []),
    ]


def head_pose(namespace: str, parameters: dict[str, Any]) -> Node:
    return Node(
        package="headpose_ros",
        executable="headpose_node",
        name="headpose",
        namespace=namespace,
        output="screen",
        emulate_tty=True,
        parameters=[LaunchConfiguration("params_file"), parameters],
        remappings=[
            ("image", LaunchConfiguration("image")),
            ("camera_info", LaunchConfiguration("camera_info")),
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        additional_env=TRANSPORTS,
    )


def viewer(kind: str, namespace: str, sim_time: Any) -> list[Node]:
    time = {"use_sim_time": sim_time}
    if kind == "rviz":
        layout = ["-d", str(config("headpose.rviz")), "-f", LaunchConfiguration("viz_frame")]
        # In the node's namespace, because the topics of the layout are relative.
        return [
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=namespace,
                arguments=layout,
                parameters=[time],
                additional_env=TRANSPORTS,
            )
        ]
    if kind == "foxglove":
        # Of this machine only: what connects here may read every topic and call every service.
        here = {"address": "127.0.0.1", "port": 8765, **time}
        return [
            Node(
                package="foxglove_bridge",
                executable="foxglove_bridge",
                parameters=[here],
                additional_env=TRANSPORTS,
            )
        ]
    return []


def play(bag: str) -> ExecuteProcess:
    # Later than the rest, so that the node has loaded its networks and hears the first images.
    command = ["ros2", "bag", "play", bag, "--clock", "--delay", "5"]
    return ExecuteProcess(cmd=command, name="bag", output="screen", additional_env=TRANSPORTS)
