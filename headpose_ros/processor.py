# SPDX-License-Identifier: Apache-2.0
"""What the node does with an image: through the pipeline, and out."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import Header

from headpose_core.errors import DeviceError
from headpose_core.images.compressed_images import view_from_compressed
from headpose_core.images.image_messages import view_from_message
from headpose_core.images.image_view import ImageView
from headpose_core.images.value_depth import ValueDepth
from headpose_core.messages.cameras import InfoCamera, calibration_problem, camera_from_message
from headpose_core.messages.heads import seconds
from headpose_core.types import Camera, Frame
from headpose_ros.health import Health, error_text
from headpose_ros.inputs import Picture
from headpose_ros.loading import NodePipeline
from headpose_ros.messages import age_ms
from headpose_ros.outputs import Outputs
from headpose_ros.parameters import Parameters, apply_live
from headpose_ros.tf_rotations import FixedFrame
from headpose_ros.worker import LatestWorker

_REPEAT_S = 5.0  # between two messages about bad images
_CALIBRATION_S = 1.0  # in which the first calibration may come after the first image
_PATIENCE_S = 1.0  # with an image in work when the node shall stop


class ImageProcessor:
    """Lives while the node is configured. Images are processed in a thread of its own.

    outputs, fixed_frame: are destroyed with it. on_device_error: is called in that thread when the
    device of the pose network fails.
    """

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        health: Health,
        pipeline: NodePipeline,
        outputs: Outputs,
        fixed_frame: FixedFrame | None,
        on_device_error: Callable[[NodePipeline, DeviceError], None],
    ) -> None:
        self._node, self._parameters, self._health = node, parameters, health
        self.pipeline, self._outputs, self._fixed_frame = pipeline, outputs, fixed_frame
        self._on_device_error = on_device_error
        self._camera: InfoCamera | None = None
        self._camera_said = ""
        self._depth = ValueDepth()
        self._uncalibrated = _Reason()
        self._image_size: tuple[int, int] | None = None
        self._frame_id: str | None = None
        self._forget_tracks = self._shows = False
        self._publishing = threading.Lock()
        # Number of the session between `start` and `stop`, 0 outside of one; results that outlive
        # their session are dropped.
        self._session = 0
        self._sessions = itertools.count(1)
        self._worker = LatestWorker(self._process, self._not_used)

    def start(self) -> None:
        """Take images. What is known of the camera is forgotten: another one may come."""
        self._camera = self._image_size = self._frame_id = None
        self._uncalibrated = _Reason()
        self._depth = ValueDepth()
        self._session = next(self._sessions)

    def stop(self) -> None:
        """Nothing is published any more when this returns, whatever is still in work."""
        with self._publishing:
            if not self._session:
                return  # stopped before, and waited for what was in work
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
        self._outputs.destroy()
        if self._fixed_frame:
            self._fixed_frame.destroy()

    def take_camera_info(self, info: CameraInfo) -> None:
        """Use this calibration from the next image on."""
        topic = self._node.resolve_topic_name("camera_info")
        self._camera = camera_from_message(info, topic)

    def take_image(self, message: Picture) -> None:
        """Process it when the one in work is done, unless a newer one comes first."""
        if self._worker.put(message):
            self._health.image_dropped()

    def show_nothing(self) -> None:
        """The camera is silent: what is shown is not there any more."""
        with self._publishing:
            if self._shows:
                self._clear_outputs()

    def forget_tracks(self) -> None:
        """All faces are new in the next image."""
        self._forget_tracks = True

    @property
    def begun_s(self) -> float | None:
        """When the image in work was begun, in seconds of the monotonic clock; None: none is."""
        return self._worker.begun_s

    def facts(self) -> dict[str, Any]:
        """For the diagnostics."""
        model, fixed = self.pipeline.model, self._fixed_frame
        problem = calibration_problem(self._camera, self._image_size, self._frame_id)
        return {
            "model": f"{model.metadata.name} {model.metadata.version}",
            "backend": model.backend,
            "device": model.device,
            "precision": model.precision,
            "calibrated": f"False ({problem})" if problem else "True",
            "camera_info": str(self._camera or "none"),
            "filter_frame_problem": fixed.problem if fixed else "",
            "head_pose_subscribers": self._outputs.subscribers(),
        }

    def _clear_outputs(self) -> None:
        self._shows = False
        self._outputs.clear()

    def _process(self, message: Picture) -> None:
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

    def _publish_heads(self, message: Picture) -> Frame | None:
        """What was published; None when the node was stopped meanwhile."""
        session = self._session
        compressed = isinstance(message, CompressedImage)
        view = (view_from_compressed if compressed else view_from_message)(message, self._depth)
        if news := self._depth.news():
            self._node.get_logger().info(news)
        apply_live(self._parameters, self.pipeline)
        camera = self._camera_of(view, message.header)
        axes = self._fixed_frame.orientation(message.header) if self._fixed_frame else None
        frame = self.pipeline(view, seconds(message.header.stamp), camera, axes)
        with self._publishing:
            if not session or session != self._session:
                return None
            self._shows = True
            with_tf = self._parameters["publish_tf"]
            self._outputs.publish(frame, view, message.header, with_tf=with_tf)
        return frame

    def _camera_of(self, view: ImageView, header: Header) -> Camera | None:
        """The camera of this image, if its calibration can be used; tracks end with the camera."""
        if self._forget_tracks or self._frame_id not in (None, header.frame_id):
            self._forget_tracks = False
            self.pipeline.reset()
        camera, self._frame_id = self._camera, header.frame_id
        self._image_size = view.size
        problem = calibration_problem(camera, self._image_size, self._frame_id)
        if self._uncalibrated.is_news(problem, time.monotonic()):
            self._node.get_logger().warning(f"{problem}: angles only, no position, no TF")
        if not problem and self._camera_said != str(camera):
            self._camera_said = str(camera)
            self._node.get_logger().info(f"calibration: {camera}")
        return None if problem else camera


class _Reason:
    """Why something is not as it should be, to be said once."""

    def __init__(self) -> None:
        self._reason, self._since_s, self._said = "", 0.0, True

    def is_news(self, reason: str, now_s: float) -> bool:
        """Whether to say it now: it holds for a while, and was not said yet. "": there is none."""
        if reason != self._reason:
            self._reason, self._since_s, self._said = reason, now_s, not reason
        if self._said or now_s - self._since_s < _CALIBRATION_S:
            return False
        self._said = True
        return True
