# SPDX-License-Identifier: Apache-2.0
"""Which messages a ``Frame`` becomes: in the node and in ``headpose bag``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2

from headpose_core.drawing import draw_heads
from headpose_core.images.image_view import ImageView
from headpose_core.messages.heads import MessageFactory, head_pose_array, transforms
from headpose_core.messages.markers import HeadMarkers
from headpose_core.types import Frame, Image

HEAD_POSE, TF, MARKERS = "head_pose", "/tf", "head_pose/markers"
DEBUG_IMAGE = "head_pose/debug_image"
COMPRESSED_DEBUG_IMAGE = f"{DEBUG_IMAGE}/compressed"
# By topic; relative names are under the node's namespace, in a bag under "/".
TYPES = {
    HEAD_POSE: "headpose_ros/msg/HeadPoseArray",
    TF: "tf2_msgs/msg/TFMessage",
    MARKERS: "visualization_msgs/msg/MarkerArray",
    DEBUG_IMAGE: "sensor_msgs/msg/Image",
    COMPRESSED_DEBUG_IMAGE: "sensor_msgs/msg/CompressedImage",
}
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90]


class FrameMessages:
    """Makes the messages of one image stream; markers need to know what is shown already."""

    def __init__(self, make: MessageFactory) -> None:
        self._make = make
        self._markers = HeadMarkers(make)

    def of(
        self,
        frame: Frame,
        view: ImageView,
        header: Any,
        wanted: Callable[[str], bool],
        caption: str = "",
    ) -> Iterator[tuple[str, Any]]:
        """Topics and messages of one image, in the order in which to send them.

        header: the image's own. wanted: whether to make what goes to a topic. caption: text on
        the debug image. TF comes first, so that it is there for who looks it up when the heads
        arrive; without frames and markers there is no message of theirs.
        """
        make = self._make
        if wanted(TF) and header.frame_id and (tf := transforms(make, frame, header)).transforms:
            yield TF, tf
        yield HEAD_POSE, head_pose_array(make, frame, header, view.size)
        if wanted(MARKERS) and (markers := self._markers.update(frame, header)).markers:
            yield MARKERS, markers
        if not (wanted(DEBUG_IMAGE) or wanted(COMPRESSED_DEBUG_IMAGE)):
            return
        drawn = draw_heads(view.rgb(), frame.heads, caption=caption)
        if wanted(DEBUG_IMAGE):
            yield DEBUG_IMAGE, image_message(make, drawn, header)
        if wanted(COMPRESSED_DEBUG_IMAGE):
            data = cv2.imencode(".jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), _JPEG)[1]
            jpeg = make(TYPES[COMPRESSED_DEBUG_IMAGE], header=header, format="jpeg", data=data)
            yield COMPRESSED_DEBUG_IMAGE, jpeg

    def clear_markers(self, header: Any) -> Any:
        """The MarkerArray that takes all markers away."""
        return self._markers.clear(header)


def image_message(make: MessageFactory, image: Image, header: Any) -> Any:
    """A sensor_msgs/Image of encoding rgb8 with the pixels (H, W, 3) uint8 RGB."""
    height, width = image.shape[:2]
    layout = {"height": height, "width": width, "encoding": "rgb8", "step": 3 * width}
    return make("sensor_msgs/msg/Image", header=header, data=image.reshape(-1), **layout)
