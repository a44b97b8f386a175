# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo to a ``Camera``, and whether it says something about an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headpose_core.geometry.calibration import calibration_fault
from headpose_core.types import Camera


@dataclass(frozen=True)
class InfoCamera(Camera):
    """A camera as a CameraInfo describes it, calibrated or not.

    sensor: (x1, y1, x2, y2) where the whole sensor lies, in pixels of the images.
    frame_id: of the CameraInfo. topic: that it came on; "" when nobody said it.
    """

    sensor: tuple[float, float, float, float] | None = None
    frame_id: str = ""
    topic: str = ""

    def __str__(self) -> str:
        frame = f"frame '{self.frame_id}'" if self.frame_id else "no frame_id"
        return f"{self.topic or 'camera_info'} ({frame})"


def camera_from_message(info: Any, topic: str = "") -> InfoCamera:
    """The camera of the images that a CameraInfo comes with.

    K in the message belongs to the whole sensor; the images show its region of interest (all of it
    when that is empty), of which binning makes one pixel of several (REP 104).
    """
    bins = np.maximum((info.binning_x, info.binning_y), 1)
    whole = not (info.roi.width and info.roi.height)
    corner = np.zeros(2) if whole else np.array([info.roi.x_offset, info.roi.y_offset])
    shown = (info.width, info.height) if whole else (info.roi.width, info.roi.height)
    width, height = (np.array(shown) // bins).tolist()
    K = np.array(info.k, np.float64).reshape(3, 3)
    # Whole numbers are the middles of pixels, and the corner of the image is half a pixel off.
    K[:2, 2] -= corner - 0.5
    K[:2] /= bins[:, None]
    K[:2, 2] -= 0.5
    edges = np.array([-corner, np.array([info.width, info.height]) - corner]) / bins
    x1, y1, x2, y2 = edges.ravel().tolist()
    return InfoCamera(
        width,
        height,
        K,
        np.array(info.d, np.float64),
        info.distortion_model,
        sensor=(x1, y1, x2, y2),
        frame_id=info.header.frame_id if hasattr(info, "header") else "",  # else: made by hand
        topic=topic,
    )


def calibration_problem(
    camera: InfoCamera | None, image_size: tuple[int, int] | None, image_frame: str | None = None
) -> str:
    """Why `camera` says nothing about images of `image_size` (w, h) and `image_frame`; "" when it
    does.

    None: no camera_info, or no image, came yet. A frame that is empty fits every other.
    """
    if camera is None:
        return "no camera_info yet"
    if fault := calibration_fault(camera, camera.sensor):
        return f"camera_info cannot be used: {fault}"
    if image_size not in (None, (camera.width, camera.height)):
        sizes = f"for {camera.width}x{camera.height}, images are {image_size[0]}x{image_size[1]}"
        return f"camera_info is {sizes}"
    of_info, of_image = camera.frame_id.lstrip("/"), (image_frame or "").lstrip("/")
    if of_info and of_image and of_info != of_image:
        return f"camera_info is of the frame '{of_info}', images are of '{of_image}'"
    return ""
