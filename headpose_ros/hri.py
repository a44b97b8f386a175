# SPDX-License-Identifier: Apache-2.0
"""Faces as REP-155 (ROS4HRI) has them: the ids that are tracked, and for each its place and image.

The frames ``face_<id>`` and ``gaze_<id>`` of the same convention are always in TF.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from headpose_core.images.crop import crop_faces, square_boxes
from headpose_core.images.image_view import ImageView
from headpose_core.types import Frame, Head
from headpose_ros.images import message_from_image
from headpose_ros.qos import overridable

CROPPED_SIZE = 128
_LOST_S = 1.0  # after which the topics of a face that is not seen are taken away


@dataclass
class _Face:
    """The publishers of a face and the stamp of the last image that showed it, in seconds."""

    roi: Publisher
    cropped: Publisher
    seen_s: float


class HriOutputs:
    """The topics under /humans/faces. Raises ImportError, which says why, without hri_msgs.

    The quality of service of ``tracked`` can be overridden. Those of a face cannot: ids are never
    used again, so the parameters for them would grow without end.
    """

    def __init__(self, node: Node) -> None:
        try:
            self._msg: Any = import_module("hri_msgs.msg")
        except ImportError as error:
            raise ImportError(
                "publish_hri needs the package hri_msgs: install ros-$ROS_DISTRO-hri-msgs, "
                "or set publish_hri to false"
            ) from error
        self._node = node
        self._tracked = node.create_publisher(
            self._msg.IdsList, "/humans/faces/tracked", 1, qos_overriding_options=overridable()
        )
        self._faces: dict[str, _Face] = {}

    def publish(self, frame: Frame, view: ImageView, header: Header) -> None:
        """Send the confirmed heads in an image under its own `header`."""
        heads = [head for head in frame.heads if head.confirmed]
        self._end_lost_faces(frame.stamp_s)
        for head in heads:
            face = self._faces.get(head.face_id) or self._begin(head.face_id)
            face.seen_s = frame.stamp_s
            face.roi.publish(self._roi(head, view, header))
            if face.cropped.get_subscription_count():
                cropped = crop_faces(view, square_boxes(head.box), CROPPED_SIZE)[0]
                face.cropped.publish(message_from_image(cropped, header))
        self._publish_tracked(header, [head.face_id for head in heads])

    def clear(self, header: Header) -> None:
        """No face is tracked any more."""
        self._publish_tracked(header, [])
        for face_id in list(self._faces):
            self._end(face_id)

    def destroy(self) -> None:
        for face_id in list(self._faces):
            self._end(face_id)
        self._node.destroy_publisher(self._tracked)

    def _publish_tracked(self, header: Header, ids: list[str]) -> None:
        self._tracked.publish(self._msg.IdsList(header=header, ids=ids))

    def _roi(self, head: Head, view: ImageView, header: Header) -> Any:
        width, height = view.size
        corners = np.clip(head.box / np.array([width, height, width, height]), 0.0, 1.0)
        names = zip(("xmin", "ymin", "xmax", "ymax"), corners.tolist(), strict=True)
        return self._msg.NormalizedRegionOfInterest2D(
            header=header, c=float(head.score), **dict(names)
        )

    def _begin(self, face_id: str) -> _Face:
        topics = f"/humans/faces/{face_id}"
        roi = self._node.create_publisher(
            self._msg.NormalizedRegionOfInterest2D, f"{topics}/roi", 1
        )
        cropped = self._node.create_publisher(Image, f"{topics}/cropped", 1)
        self._faces[face_id] = _Face(roi, cropped, 0.0)
        return self._faces[face_id]

    def _end(self, face_id: str) -> None:
        face = self._faces.pop(face_id)
        self._node.destroy_publisher(face.roi)
        self._node.destroy_publisher(face.cropped)

    def _end_lost_faces(self, stamp_s: float) -> None:
        lost = [k for k, face in self._faces.items() if not 0 <= stamp_s - face.seen_s <= _LOST_S]
        for face_id in lost:
            self._end(face_id)
