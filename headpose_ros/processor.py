# SPDX-License-Identifier: Apache-2.0
"""What the node does with an image: through the pipeline, and out."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage

from headpose_core.errors import DeviceError
from headpose_core.images.compressed_images import view_from_compressed
from headpose_core.images.image_messages import view_from_message
from headpose_core.images.image_view import ImageView
from headpose_core.images.value_depth import ValueDepth
from headpose_core.messages.heads import seconds
from headpose_core.types import Camera, Frame
from headpose_ros.calibration import Calibration
from headpose_ros.health import Health, error_text
from headpose_ros.inputs import ImageMessage, Inputs
from headpose_ros.loading import NodePipeline
from headpose_ros.messages import age_ms
from headpose_ros.outputs import Outputs
from headpose_ros.parameters import Parameters, apply_live
from headpose_ros.tf_rotations import FixedFrame
from headpose_ros.worker import LatestWorker

_REPEAT_S = 5.0  # between two messages about bad images
_PATIENCE_S = 1.0  # with an image in work when the node shall stop


class ImageProcessor:
    """Lives while the node is configured. Images are processed in a thread of its own.

    values: ``Parameters.at_configure``. on_device_error: is called in that thread when the device
    of the pose network fails. Raises ImportError or RuntimeError as ``Outputs`` and ``FixedFrame``
    do; then nothing is left.
    """

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        health: Health,
        pipeline: NodePipeline,
        values: dict[str, Any],
        on_device_error: Callable[[NodePipeline, DeviceError], None],
    ) -> None:
        self._node, self._parameters, self._health = node, parameters, health
        self.pipeline, self._on_device_error = pipeline, on_device_error
        self._transport = values["image_transport"]
        with ExitStack() as undo:
            self._outputs = Outputs(node, publish_hri=values["publish_hri"])
            undo.callback(self._outputs.destroy)
            self._fixed_frame: FixedFrame | None = None
            if frame := values["filter.frame"]:
                self._fixed_frame = FixedFrame(node, frame)
                undo.callback(self._fixed_frame.destroy)
            self._destroy_topics = undo.pop_all().close
        self._inputs: Inputs | None = None
        self._calibration = Calibration(node)
        self._depth = ValueDepth()
        self._forget_tracks = self._shows = False
        self._publishing = threading.Lock()
        # Session number; results that outlive their session are dropped. 0: not listening.
        self._session = 0
        self._sessions = itertools.count(1)
        self._worker = LatestWorker(self._process, self._not_used)

    def start(self) -> None:
        """Listen. What is known of the camera is forgotten: another one may come.

        Raises RuntimeError for a qos_overrides parameter that is none.
        """
        self._calibration.forget()
        self._depth = ValueDepth()
        on_image, on_camera_info = self._take_image, self._calibration.take
        self._inputs = Inputs(
            self._node, self._parameters, self._health, self._transport, on_image, on_camera_info
        )
        self._session = next(self._sessions)
        topic = self._inputs.image_topic
        self._node.get_logger().info(f"listens to {topic} ({self._transport})")

    def stop(self) -> None:
        """Nothing is published any more when this returns, whatever is still in work."""
        if self._inputs is None:
            return  # stopped before, and waited for what was in work
        self._inputs.close()
        self._inputs = None
        with self._publishing:
            self._session = 0
            self._clear_outputs()
        if self._worker.drain(_PATIENCE_S):
            self._health.image_dropped()

    def close(self) -> None:
        """Take the publishers away."""
        self.stop()
        self._worker.stop(0.0)
        if self._worker.busy:
            self.pipeline.tracker = None  # it will be somebody else's
        self._destroy_topics()

    def check(self) -> None:
        """Say which publishers are not heard; show nobody when the camera is silent."""
        if self._inputs is None:
            return
        self._inputs.check_publishers()
        if self._health.quiet(time.monotonic(), self.begun_s):
            with self._publishing:
                if self._shows:
                    self._clear_outputs()

    def forget_tracks(self) -> None:
        """All faces are new in the next image."""
        self._forget_tracks = True

    @property
    def listening(self) -> bool:
        """Whether images are taken."""
        return self._inputs is not None

    @property
    def begun_s(self) -> float | None:
        """When the image in work was begun, in seconds of the monotonic clock; None: none is."""
        return self._worker.begun_s

    def facts(self) -> dict[str, Any]:
        """For the diagnostics."""
        model, fixed = self.pipeline.model, self._fixed_frame
        return {
            **(self._inputs.facts() if self._inputs else {}),
            "model": f"{model.metadata.name} {model.metadata.version}",
            "model_file": f"{model.chosen.path.name} ({model.chosen.reason})",
            "backend": model.backend,
            "device": model.device,
            "precision": model.precision,
            **self._calibration.facts(),
            "filter_frame_problem": fixed.problem if fixed else "",
            "head_pose_subscribers": self._outputs.subscribers(),
        }

    def _take_image(self, message: ImageMessage) -> None:
        """Process it when the one in work is done, unless a newer one comes first."""
        if self._worker.put(message):
            self._health.image_dropped()

    def _clear_outputs(self) -> None:
        self._shows = False
        self._outputs.clear()

    def _process(self, message: ImageMessage) -> None:
        """Publish the heads in an image."""
        start = time.monotonic()
        frame = self._publish_heads(message)
        if frame is None:
            self._health.image_dropped()
            return
        now = time.monotonic()
        self._health.image_processed(
            now,
            faces=len(frame.heads),
            processing_ms=(now - start) * 1e3,
            age_ms=age_ms(message.header.stamp, self._node.get_clock()),
            budget_ms=self._parameters["latency_budget"],
        )

    def _not_used(self, error: BaseException) -> None:
        """Say what was wrong with an image. Whatever it was, the next one is welcome."""
        problem = error_text(error)
        self._health.image_failed(problem)
        self._node.get_logger().error(
            f"image not used: {problem}", throttle_duration_sec=_REPEAT_S
        )
        if isinstance(error, DeviceError) and self._session:
            self._on_device_error(self.pipeline, error)

    def _publish_heads(self, message: ImageMessage) -> Frame | None:
        """What was published; None when the node was stopped meanwhile."""
        session = self._session
        compressed = isinstance(message, CompressedImage)
        view = (view_from_compressed if compressed else view_from_message)(message, self._depth)
        if news := self._depth.news():
            self._node.get_logger().info(news)
        apply_live(self._parameters, self.pipeline)
        camera = self._camera_of(view, message.header.frame_id)
        axes = self._fixed_frame.orientation(message.header) if self._fixed_frame else None
        frame = self.pipeline(view, seconds(message.header.stamp), camera, axes)
        with self._publishing:
            if not session or session != self._session:
                return None
            self._shows = True
            with_tf = self._parameters["publish_tf"]
            self._outputs.publish(frame, view, message.header, with_tf=with_tf)
        return frame

    def _camera_of(self, view: ImageView, frame_id: str) -> Camera | None:
        """The camera of this image, if it is calibrated; tracks end with the camera."""
        if self._forget_tracks or self._calibration.is_of_another_camera(frame_id):
            self._forget_tracks = False
            self.pipeline.reset()
        return self._calibration.camera_of(view.size, frame_id)
