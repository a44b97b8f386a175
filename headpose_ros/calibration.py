# SPDX-License-Identifier: Apache-2.0
"""The camera of the images: the newest camera_info, and what is said about it."""

from __future__ import annotations

import time

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from headpose_core.messages.cameras import InfoCamera, calibration_problem, camera_from_message
from headpose_core.types import Camera

_PATIENCE_S = 1.0  # in which the first calibration may come after the first image


class Calibration:
    """The calibration of one stream of images.

    ``take`` is called in the node's thread, everything else where images are processed.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._in_use = ""
        self.forget()

    def forget(self) -> None:
        """The next images may be of another camera."""
        self._camera: InfoCamera | None = None
        self._image_size: tuple[int, int] | None = None
        self._frame_id: str | None = None
        self._missing = Problem()

    def take(self, info: CameraInfo) -> None:
        """Use this calibration from the next image on."""
        topic = self._node.resolve_topic_name("camera_info")
        self._camera = camera_from_message(info, topic)

    def is_of_another_camera(self, frame_id: str) -> bool:
        """Whether an image is in another frame than the one before it."""
        return self._frame_id not in (None, frame_id)

    def camera_of(self, image_size: tuple[int, int], frame_id: str) -> Camera | None:
        """The camera of an image (w, h) in a frame; None when its calibration cannot be used.

        The log says which calibration is used, or once why there is none.
        """
        camera, self._image_size, self._frame_id = self._camera, image_size, frame_id
        problem = calibration_problem(camera, image_size, frame_id)
        if self._missing.is_news(problem, time.monotonic()):
            self._node.get_logger().warning(f"{problem}: angles only, no position, no TF")
        if not problem and self._in_use != str(camera):
            self._in_use = str(camera)
            self._node.get_logger().info(f"calibration: {camera}")
        return None if problem else camera

    def facts(self) -> dict[str, str]:
        """For the diagnostics."""
        problem = calibration_problem(self._camera, self._image_size, self._frame_id)
        return {
            "calibrated": f"False ({problem})" if problem else "True",
            "camera_info": str(self._camera or "none"),
        }


class Problem:
    """Something that is not as it should be, to be said once."""

    def __init__(self) -> None:
        self._text, self._since_s, self._said = "", 0.0, True

    def is_news(self, text: str, now_s: float) -> bool:
        """Whether to say it now: it has lasted for a while and was not said yet. "": none."""
        if text != self._text:
            self._text, self._since_s, self._said = text, now_s, not text
        if self._said or now_s - self._since_s < _PATIENCE_S:
            return False
        self._said = True
        return True
