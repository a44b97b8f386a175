# SPDX-License-Identifier: Apache-2.0
"""What the node does with an image: through the pipeline, and out."""

from __future__ import annotations

import time
from typing import Any

from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image

from headpose_core.errors import DeviceError, ImageError, ModelError
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.types import Camera
from headpose_ros.health import Health
from headpose_ros.images import image_from_message
from headpose_ros.messages import calibration_problem, camera_from_message, seconds
from headpose_ros.outputs import Outputs
from headpose_ros.parameters import Parameters, apply_live

_REPEAT_S = 5.0  # between two messages about bad images
_REPEAT_CALIBRATION_S = 60.0


class ImageProcessor:
    """Lives while the node is configured. ``process`` runs in the worker's thread."""

    def __init__(
        self, node: Node, parameters: Parameters, health: Health, pipeline: HeadPosePipeline
    ) -> None:
        self._node, self._parameters, self._health = node, parameters, health
        self._pipeline = pipeline
        self._outputs = Outputs(node)
        self._live: dict[str, Any] = {}
        self._camera: Camera | None = None
        self._image_size: tuple[int, int] | None = None

    def take_camera_info(self, info: CameraInfo) -> None:
        """Use this calibration from the next image on."""
        self._camera = camera_from_message(info)

    def forget_camera(self) -> None:
        """Another one may come."""
        self._camera = self._image_size = None

    def process(self, message: Image) -> None:
        """Publish the heads in an image. Whatever is wrong with it, the next one is welcome."""
        start = time.monotonic()
        try:
            faces = self._publish_heads(message)
        except Exception as error:
            if self._node.context.ok():  # else shut down in the middle of it
                problem = told(error)
                self._health.image_failed(problem)
                self._node.get_logger().error(
                    f"image not used: {problem}", throttle_duration_sec=_REPEAT_S
                )
            return
        now = time.monotonic()
        age = self._node.get_clock().now() - Time.from_msg(message.header.stamp)
        self._health.image_processed(
            now,
            faces=faces,
            processing_ms=(now - start) * 1e3,
            age_ms=age.nanoseconds * 1e-6,
            budget_ms=self._live["latency_budget"],
        )

    def facts(self) -> dict[str, Any]:
        """For the diagnostics."""
        model = self._pipeline.model
        problem = calibration_problem(self._camera, self._image_size)
        return {
            "model": f"{model.metadata.name} {model.metadata.version}",
            "backend": model.backend,
            "device_asked": model.device_asked,
            "device": model.device,
            "calibrated": f"False ({problem})" if problem else "True",
            "head_pose_subscribers": self._outputs.subscribers(),
        }

    def close(self) -> None:
        """Take the publishers away."""
        self._outputs.destroy()

    def _publish_heads(self, message: Image) -> int:
        """Returns how many."""
        image = image_from_message(message)
        self._image_size = (message.width, message.height)
        live = self._parameters.live()
        if live != self._live:
            apply_live(live, self._pipeline)
            self._live = live
        camera = self._camera
        if problem := calibration_problem(camera, self._image_size):
            self._node.get_logger().warning(
                f"{problem}: angles only, no position, no TF",
                throttle_duration_sec=_REPEAT_CALIBRATION_S,
            )
            camera = None
        frame = self._pipeline(image, seconds(message.header.stamp), camera)
        self._outputs.publish(frame, image, message.header, with_tf=live["publish_tf"])
        return len(frame.heads)


def told(error: Exception) -> str:
    """The text of an error; of one that is not the library's own, its name too."""
    own = isinstance(error, (DeviceError, ImageError, ModelError))
    return str(error) if own else f"{type(error).__name__}: {error}"
