# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 node: images in, head poses out. What is done with an image is in headpose_core.

A lifecycle node that, unless told otherwise, configures and activates itself. Images wait in a
mailbox with one slot for a worker thread; the newest wins.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from headpose_core import __version__
from headpose_core.crop import CROP_SIZE
from headpose_core.detection import YuNet
from headpose_core.pipeline import HeadPosePipeline, PipelineConfig
from headpose_core.runtime import HeadPoseModel
from headpose_core.tracking import Tracker
from headpose_ros.health import Budget, Health
from headpose_ros.outputs import NEWEST_ONLY
from headpose_ros.parameters import Parameters
from headpose_ros.processor import ImageProcessor, told
from headpose_ros.worker import LatestWorker

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class HeadPoseNode(LifecycleNode):
    """The node `headpose`. The README has its topics, config/headpose.yaml its parameters."""

    def __init__(self, **options: Any) -> None:
        super().__init__("headpose", **options)
        self.parameters = Parameters(self)
        self._health = Health()
        self._state = "unconfigured"
        self._processor: ImageProcessor | None = None
        self._worker: LatestWorker[Image] | None = None
        self._inputs: list[Any] = []
        # By prefix, for as long as the node runs: no id is given twice.
        self._trackers: dict[str, Tracker] = {}
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # A steady clock: diagnostics go on while simulated time stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._publish_diagnostics, clock=steady)

    def autostart(self) -> bool:
        """Configure and activate. Returns whether the node is active now."""
        return self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up. On failure the node says why and can be configured again."""
        try:
            pipeline = self._build_pipeline()
        except Exception as error:  # rclpy would swallow it
            problem = f"cannot be configured: {told(error)}"
            self._health.broke(problem)
            self.get_logger().error(problem)
            return FAILURE
        self._processor = ImageProcessor(self, self.parameters, self._health, pipeline)
        self._health.broke("")
        self._state = "inactive"
        return SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen, from now on."""
        processor = self._processor
        processor.forget_camera()
        self._worker = LatestWorker(processor.process)
        self._inputs = [
            self.create_subscription(
                CameraInfo, "camera_info", processor.take_camera_info, NEWEST_ONLY
            ),
            self.create_subscription(Image, "image", self._on_image, NEWEST_ONLY),
        ]
        self._health.activated(time.monotonic())
        self._state = "active"
        self.get_logger().info(f"active on {self._inputs[1].topic_name}")
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening; nothing is published any more when this returns."""
        self._stop()
        self._state = "inactive"
        return SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free what configuring took."""
        self._release()
        self._state = "unconfigured"
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        self._state = "finalized"
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition raised an exception: back to where the node can be configured again."""
        self._release()
        self._state = "unconfigured"
        return SUCCESS

    def destroy_node(self) -> None:
        self._release()
        super().destroy_node()

    def _build_pipeline(self) -> HeadPosePipeline:
        values = self.parameters
        detector = YuNet(values["detector_model"] or None, threads=values["threads"])
        model = HeadPoseModel.load(
            values["model"] or None,
            device=values["device"],
            backend=values["backend"],
            threads=values["threads"],
            allow_cpu_fallback=values["allow_cpu_fallback"],
        )
        model.infer(np.zeros((1, CROP_SIZE, CROP_SIZE, 3), np.uint8))  # the first one is slow
        self.get_logger().info(
            f"headpose {__version__}: model {model.metadata.name} {model.metadata.version}, "
            f"device asked: {model.device_asked}, got: {model.device} ({model.backend})"
        )
        prefix = values["id_prefix"]
        tracker = self._trackers.setdefault(prefix, Tracker(id_prefix=prefix))
        tracker.reset()
        return HeadPosePipeline(
            detector, model, tracker, PipelineConfig(max_faces=values["max_faces"])
        )

    def _stop(self) -> None:
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs = []
        if self._worker is not None and self._worker.stop():
            self._health.image_dropped()
        self._worker = None

    def _release(self) -> None:
        self._stop()
        if self._processor is not None:
            self._processor.close()
        self._processor = None

    def _on_image(self, message: Image) -> None:
        if self._worker is None:
            return  # came together with the request to deactivate
        dropped = self._worker.put(message)
        self._health.image_came(time.monotonic(), dropped=dropped)

    def _publish_diagnostics(self) -> None:
        status = self._health.status(
            time.monotonic(),
            name=f"{self.get_fully_qualified_name()}: head pose".lstrip("/"),
            state=self._state,
            budget=Budget(self.parameters["latency_budget"], self.parameters["latency_grace"]),
            facts=self._processor.facts() if self._processor else {},
        )
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(DiagnosticArray(header=Header(stamp=stamp), status=[status]))


def spin(node: HeadPoseNode) -> None:
    """Serve the node until it is told to end."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while node.context.ok():
        try:
            executor.spin_once()
        except RuntimeError as error:  # noqa: PERF203 (a transition that this state does not have)
            if node.context.ok():
                node.get_logger().error(str(error))


def main(args: list[str] | None = None) -> int:
    """Run the node. Exit status: 0 told to end, 1 autostart failed, 2 a parameter was refused."""
    if not any(os.environ.get(name) for name in ("HOME", "ROS_HOME", "ROS_LOG_DIR")):
        os.environ["ROS_LOG_DIR"] = tempfile.gettempdir()  # a service without HOME; ROS would end
    rclpy.init(args=args)
    node = None
    try:
        node = HeadPoseNode()
        if node.parameters["autostart"] and not node.autostart():
            return 1 if node.context.ok() else 0
        spin(node)
    except ParameterException as error:
        get_logger("headpose").fatal(str(error))
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        # Ctrl-C on `ros2 launch` comes twice, from the terminal and from launch.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node is not None:
            node.destroy_node()
        rclpy.get_default_context().try_shutdown()  # a signal may have done it already
    return 0


if __name__ == "__main__":
    sys.exit(main())
