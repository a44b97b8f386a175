# SPDX-License-Identifier: Apache-2.0
"""Starts the node. Arguments become remappings and parameters; all else is the node's."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

# The default of 512 KB of shared memory drops most images of a megapixel camera.
LARGE_MESSAGES = "LARGE_DATA?max_msg_size=4MB&sockets_size=4MB"

# Parameters of the node that can be given here too. Empty: as in params_file.
OVERRIDES = {
    "model": (str, "path of the pose network (ONNX)"),
    "device": (str, "where the network runs: auto, tensorrt, cuda, cpu"),
    "autostart": (bool, "false: a lifecycle manager configures and activates the node"),
    "use_sim_time": (bool, "true: take the time from /clock"),
}


def generate_launch_description() -> LaunchDescription:
    config = Path(get_package_share_directory("headpose_ros")) / "config"
    arguments = {
        "namespace": ("", "of the node, one per camera"),
        "image": ("image", "topic of the images (sensor_msgs/Image)"),
        "camera_info": ("camera_info", "topic of their calibration (sensor_msgs/CameraInfo)"),
        "params_file": (str(config / "headpose.yaml"), "parameters of the node"),
        "log_level": ("info", "debug, info, warn, error or fatal"),
        **{
            name: ("", f"{text}; empty: as in params_file")
            for name, (_, text) in OVERRIDES.items()
        },
    }
    transports = EnvironmentVariable("FASTDDS_BUILTIN_TRANSPORTS", default_value=LARGE_MESSAGES)
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=text)
                for name, (default, text) in arguments.items()
            ),
            SetEnvironmentVariable("FASTDDS_BUILTIN_TRANSPORTS", transports),
            OpaqueFunction(function=node),
        ]
    )


def node(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node, with the overrides that were given."""
    given = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, (kind, _) in OVERRIDES.items()
        if LaunchConfiguration(name).perform(context)
    }
    return [
        Node(
            package="headpose_ros",
            executable="headpose_node",
            name="headpose",
            namespace=LaunchConfiguration("namespace"),
            output="screen",
            emulate_tty=True,
            parameters=[LaunchConfiguration("params_file"), given],
            remappings=[
                ("image", LaunchConfiguration("image")),
                ("camera_info", LaunchConfiguration("camera_info")),
            ],
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        )
    ]
