# SPDX-License-Identifier: Apache-2.0
"""A real graph for tests: the node as a process of its own, and a probe that talks to it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from headpose_ros.msg import HeadPoseArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger
from tf2_msgs.msg import TFMessage

from headpose_ros.images import message_from_image
from headpose_ros.qos import newest_only
from tests.places import REPOSITORY
from tools.demo.network import end_in_peace

PATIENCE_S = 60.0  # only what is broken takes so long, whatever else the machine does
SERVICES = {
    "change_state": ChangeState,
    "get_state": GetState,
    "describe_parameters": DescribeParameters,
    "get_parameters": GetParameters,
    "list_parameters": ListParameters,
    "set_parameters": SetParameters,
    "set_parameters_atomically": SetParametersAtomically,
    "reset_tracks": Trigger,
    "set_enabled": SetBool,
}
FRAME = "camera_optical_frame"


class NodeProcess:
    """`headpose_node` as a process; `log` gets what it prints.

    parameters: by name, with __ for the dot. arguments: for ROS, before them.
    """

    def __init__(
        self,
        log: Path,
        namespace: str = "/test",
        *,
        command: tuple[str, ...] = (sys.executable, "-m", "headpose_ros.headpose_node"),
        arguments: tuple[str, ...] = (),
        **parameters: object,
    ) -> None:
        given = ["--ros-args", "-r", f"__ns:={namespace}", *arguments]
        for name, value in parameters.items():
            given += ["-p", f"{name.replace('__', '.')}:={value}"]
        self._log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [*command, *given],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def output(self) -> str:
        return self._log.read_text()

    def wait(self) -> int:
        """Its exit status, once it ends by itself."""
        return self.process.wait(PATIENCE_S)

    def end(self, sign: signal.Signals = signal.SIGINT) -> int:
        """Tell it to end. Returns its exit status."""
        self.process.send_signal(sign)
        return self.wait()

    def close(self) -> None:
        """End it if it still runs."""
        end_in_peace(self.process)


class Probe:
    """A camera and a listener in one: sends images, collects what the node makes of them."""

    def __init__(self, context: Context, namespace: str = "/test") -> None:
        self.context = context
        self.node = Node("probe", namespace=namespace, context=context)
        self.namespace = namespace
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._create_camera()
        self.poses: list[HeadPoseArray] = []
        self.transforms: dict[str, TransformStamped] = {}
        self.debug_images: list[Image] = []
        self.status: DiagnosticStatus | None = None
        self.stamp = Time()  # of the status
        # From the beginning: a server loses its answer to a client that it has not discovered yet.
        self._clients = {
            name: self.node.create_client(kind, f"headpose/{name}")
            for name, kind in SERVICES.items()
        }
        subscribe = self.node.create_subscription
        subscribe(HeadPoseArray, "head_pose", self.poses.append, QoSProfile(depth=1000))
        subscribe(TFMessage, "/tf", self._on_tf, QoSProfile(depth=1000))
        subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=100))

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()

    def replace_camera(self) -> None:
        """The camera dies and another one comes."""
        for publisher in (self._image, self._info):
            self.node.destroy_publisher(publisher)
        self._create_camera()
        self.status = None  # what was said of the old one

    def _create_camera(self) -> None:
        self._image = self.node.create_publisher(Image, "image", QoSProfile(depth=5))
        self._info = self.node.create_publisher(CameraInfo, "camera_info", QoSProfile(depth=5))

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Serve callbacks until `condition` holds; its value. Fails when nothing comes of it."""
        end = time.monotonic() + PATIENCE_S
        while not (value := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: nothing after {PATIENCE_S:.0f} s; {self.values()}")
            self._executor.spin_once(timeout_sec=0.05)
        return value

    def values(self) -> dict[str, str]:
        """The keys of the node's newest diagnostics."""
        return {pair.key: pair.value for pair in self.status.values} if self.status else {}

    def until_values(self, **expected: object) -> dict[str, str]:
        """Wait for diagnostics with these values (their beginnings)."""

        def there() -> dict[str, str]:
            values = self.values()
            met = all(values.get(k, "").startswith(str(v)) for k, v in expected.items())
            return values if met else {}

        return self.until(there, f"diagnostics with {expected}")

    def heard(self) -> bool:
        """Whether anybody takes this probe's images."""
        return bool(self._image.get_subscription_count())

    def until_ready(self) -> None:
        """Wait until the node hears this probe and is heard by it."""
        self.until(self.heard, "the node subscribes to image")
        self.until(lambda: self._info.get_subscription_count(), "the node takes camera_info")
        self.until_values(state="active")
        self.until(lambda: self.values()["head_pose_subscribers"] != "0", "it is heard")

    def calibrate(self, info: CameraInfo) -> None:
        """Send camera_info again and again, as a camera does, until the node has it."""

        def there() -> bool:
            self.send_info(info)
            return self.values()["calibrated"] == "True"

        self.until(there, "the node has camera_info")

    def send_info(self, info: CameraInfo) -> None:
        self._info.publish(info)

    def send(self, message: Image) -> None:
        self._image.publish(message)

    def ask(self, message: Image) -> HeadPoseArray:
        """Send an image and wait for its heads."""
        count = len(self.poses)
        self.send(message)
        self.until(lambda: len(self.poses) > count, "head_pose for an image")
        return self.poses[-1]

    def change_state(self, transition: str) -> bool:
        """Ask for a transition such as "configure"; whether it was made."""
        number = getattr(Transition, f"TRANSITION_{transition.upper()}")
        request = ChangeState.Request(transition=Transition(id=number))
        return bool(self.call("change_state", request).success)

    def state(self) -> str:
        return str(self.call("get_state", GetState.Request()).current_state.label)

    def set_parameters(self, **values: object) -> list[str]:
        """The reasons for which values were refused, "" for those that were taken."""
        request = SetParameters.Request(parameters=parameter_messages(values))
        return [_reason(result) for result in self.call("set_parameters", request).results]

    def set_together(self, **values: object) -> str:
        """All or none; the reason why none."""
        request = SetParametersAtomically.Request(parameters=parameter_messages(values))
        return _reason(self.call("set_parameters_atomically", request).result)

    def listen_to_debug_images(self) -> None:
        topic = "head_pose/debug_image"
        self.node.create_subscription(Image, topic, self.debug_images.append, newest_only())

    def call(self, service: str, request: object) -> Any:
        """Call one of SERVICES of the node and wait for its answer."""
        future = self.request(service, request)
        self.until(future.done, f"answer of {service}")
        return future.result()

    def request(self, service: str, request: object) -> Future:
        """Call one of SERVICES of the node."""
        self.until(lambda: self.status, "diagnostics")
        self.until(self._clients[service].service_is_ready, f"service {service}")
        return self._clients[service].call_async(request)

    def _on_tf(self, message: TFMessage) -> None:
        self.transforms.update((t.child_frame_id, t) for t in message.transforms)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f"{self.namespace[1:]}/headpose"):
                self.status, self.stamp = status, message.header.stamp


def ros_parameters(values: dict[str, object]) -> list[Parameter]:
    """By name, with __ for the dot."""
    return [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]


def parameter_messages(values: dict[str, object]) -> list[Any]:
    return [parameter.to_parameter_msg() for parameter in ros_parameters(values)]


def _reason(result: SetParametersResult) -> str:
    return "" if result.successful else result.reason


def image_message(image: np.ndarray, number: int = 0) -> Image:
    """An image (H, W, 3) RGB with a stamp that no clock gives: 1000 s and `number` / 30."""
    nanoseconds = round(number * 1e9 / 30)
    header = Header(frame_id=FRAME)
    header.stamp.sec, header.stamp.nanosec = divmod(1_000_000_000_000 + nanoseconds, 10**9)
    return message_from_image(image, header)


def camera_info(width: int, height: int, focal_px: float) -> CameraInfo:
    """A pinhole camera without distortion."""
    info = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
    info.header.frame_id = FRAME
    info.k = [focal_px, 0.0, (width - 1) / 2, 0.0, focal_px, (height - 1) / 2, 0.0, 0.0, 1.0]
    info.d = [0.0] * 5
    return info
