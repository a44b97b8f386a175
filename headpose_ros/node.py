# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 node: images in, head poses out. What is done with an image is in headpose_core.

A lifecycle node that, unless told otherwise, configures and activates itself. Images wait in a
mailbox with one slot for a worker thread; the newest wins.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from headpose_core import __version__
from headpose_core.errors import DeviceError
from headpose_core.faces.tracking import Tracker
from headpose_ros.health import Budget, Health, error_text
from headpose_ros.lifecycle import answer_refused_transitions
from headpose_ros.loading import NodePipeline, fall_back_to_cpu, load_pipeline
from headpose_ros.parameters import Parameters
from headpose_ros.processor import ImageProcessor
from headpose_ros.qos import overridable

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class HeadPoseNode(LifecycleNode):
    """The node `headpose`. The README has its topics, config/headpose.yaml its parameters."""

    def __init__(self, **options: Any) -> None:
        super().__init__("headpose", **options)
        answer_refused_transitions(self)
        self.parameters = Parameters(self)
        self._health = Health()
        self._state = "unconfigured"
        self._enabled = True
        self._configuration: dict[str, Any] = {}
        self._processor: ImageProcessor | None = None
        # By prefix, for as long as the node runs: no id is given twice.
        self._trackers: dict[str, Tracker] = {}
        self._failure: tuple[NodePipeline, str] | None = None
        self._failed = self.create_guard_condition(self._on_failure)
        self.create_service(Trigger, "~/reset_tracks", self._on_reset_tracks)
        self.create_service(SetBool, "~/set_enabled", self._on_set_enabled)
        self._diagnostics = self.create_publisher(
            DiagnosticArray, "/diagnostics", 10, qos_overriding_options=overridable()
        )
        # A steady clock: diagnostics go on while simulated time stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._publish_diagnostics, clock=steady)

    def autostart(self) -> bool:
        """Configure and activate. Returns whether the node is active now."""
        return bool(self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up. On failure the node says why and can be configured again."""
        try:
            self._configure()
        except Exception as error:  # rclpy would swallow it
            self._broke(f"cannot be configured: {error_text(error)}")
            return FAILURE
        self._health.configured()
        self._state = "inactive"
        return SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen, from now on. On failure the node says why and stays inactive."""
        try:
            if self._enabled:
                self._configured().start()
        except Exception as error:
            self._broke(f"cannot be activated: {error_text(error)}")
            return FAILURE
        self._health.activated(time.monotonic())
        self._state = "active"
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening; nothing is published any more when this returns."""
        if self._processor:
            self._processor.stop()
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
        LifecycleNode.destroy_node(self)  # by its name, so that mypy knows it as rclpy's

    def _configure(self) -> None:
        values = self._configuration = self.parameters.at_configure()
        prefix = values["id_prefix"]
        tracker = self._trackers.setdefault(prefix, Tracker(id_prefix=prefix))
        pipeline = load_pipeline(values, tracker, self.get_logger().warning)
        model = pipeline.model
        self.get_logger().info(
            f"headpose {__version__}: model {model.metadata.name} {model.metadata.version}, "
            f"device asked: {values['device']}, got: {model.device} ({model.backend})"
        )
        self.get_logger().info(f"model file {model.chosen.path.name}: {model.chosen.reason}")
        for reason in model.rejected_backends:
            self.get_logger().info(f"not used: {reason}")
        on_device_error = partial(self._on_device_error, values)
        self._processor = ImageProcessor(
            self, self.parameters, self._health, pipeline, values, on_device_error
        )

    def _configured(self) -> ImageProcessor:
        """What images go through. Raises RuntimeError when the node is not configured."""
        if self._processor is None:
            raise RuntimeError(f"expected a node that is configured, it is {self._state}")
        return self._processor

    def _release(self) -> None:
        if self._processor:
            self._processor.close()
        self._processor = None

    def _broke(self, problem: str) -> None:
        self._health.broke(problem)
        self.get_logger().error(problem)

    def _on_device_error(
        self, values: dict[str, Any], pipeline: NodePipeline, error: DeviceError
    ) -> None:
        """In the worker's thread: goes on with the CPU, or has the node stop."""
        problem = f"the device {pipeline.model.device} failed ({error})"
        why_not = fall_back_to_cpu(pipeline, values, self.get_logger().warning)
        if not self._uses(pipeline):
            return  # the node was cleaned up meanwhile, and perhaps configured anew
        if why_not:
            self._failure = (
                pipeline,
                f"{problem}, and {why_not}; the node can be configured again",
            )
            self._failed.trigger()
        else:
            problem += ": the CPU has taken over"
            self._health.fell_back(problem)
            self.get_logger().error(problem)

    def _on_failure(self) -> None:
        """What cannot go on ends where it can be configured again."""
        failure, self._failure = self._failure, None
        if not failure or not self._uses(failure[0]):
            return  # it ended meanwhile
        self._broke(failure[1])
        if self._state == "active":
            self.trigger_deactivate()
        if self._state == "inactive":
            self.trigger_cleanup()

    def _uses(self, pipeline: NodePipeline) -> bool:
        return self._processor is not None and self._processor.pipeline is pipeline

    def _on_reset_tracks(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        if self._processor:
            self._processor.forget_tracks()
            response.success, response.message = True, "all faces are new in the next image"
        else:
            response.message = f"there are no tracks: the node is {self._state}"
        return response

    def _on_set_enabled(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        """Whether to listen while active; holds until it is called again."""
        wanted = "enabled" if request.data else "disabled"
        try:
            self._enable(request.data)
        except Exception as error:  # rclpy would leave the caller without an answer
            response.message = f"cannot be {wanted}: {error_text(error)}"
            self.get_logger().error(response.message)
            return response
        response.success, response.message = True, f"{wanted}, {self._state}"
        return response

    def _enable(self, enabled: bool) -> None:
        if self._state == "active":
            processor = self._configured()
            if not enabled:
                processor.stop()
            elif not processor.listening:
                processor.start()
                self._health.activated(time.monotonic())
        self._enabled = enabled

    def _publish_diagnostics(self) -> None:
        processor = self._processor
        if processor:
            processor.check()
        facts = {
            "enabled": self._enabled,
            "device_asked": self._configuration.get("device", ""),
            **(processor.facts() if processor else {}),
        }
        status = self._health.status(
            time.monotonic(),
            name=f"{self.get_fully_qualified_name()}: head pose".lstrip("/"),
            state=self._state,
            listening=processor is not None and processor.listening,
            begun_s=processor.begun_s if processor else None,
            budget=Budget(self.parameters["latency_budget"], self.parameters["latency_grace"]),
            facts=facts,
        )
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(DiagnosticArray(header=Header(stamp=stamp), status=[status]))
