# SPDX-License-Identifier: Apache-2.0
"""Pictures of the extremes of a recording, where its images are at hand."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from headpose_core.errors import ImageError
from headpose_core.images.compressed_images import view_from_compressed
from headpose_core.images.video import VideoReader
from headpose_core.messages.frame_messages import COMPRESSED_DEBUG_IMAGE
from headpose_core.messages.heads import seconds
from headpose_core.messages.stamps import ImageClock
from headpose_core.report.recording import FaceTrack, Recording
from headpose_core.types import Image

_SIDE = 160
_MARGIN = 0.5  # of the box, on each side
_EXTREMES = (
    ("yaw, most to the left", 0, 1),
    ("yaw, most to the right", 0, -1),
    ("pitch, highest", 1, 1),
    ("pitch, lowest", 1, -1),
    ("roll, most clockwise", 2, 1),
    ("roll, least clockwise", 2, -1),
)


@dataclass(frozen=True)
class Thumbnail:
    """A JPEG as base64, and what it shows."""

    jpeg: str
    face_id: str
    meaning: str
    angle_deg: float
    time_s: float


def thumbnails(recording: Recording, poses: Path, video: Path | None) -> list[Thumbnail]:
    """The head with the largest and the smallest of each angle; empty without images."""
    wanted = [
        (meaning, *found)
        for meaning, axis, sign in _EXTREMES
        if (found := _extreme(recording.faces, axis, sign))
    ]
    stamps = {recording.stamps_s[face.image[at]] for _, face, at, _ in wanted}
    images = _images(poses, video, stamps)
    shown = []
    for meaning, face, at, angle in wanted:
        stamp = float(recording.stamps_s[face.image[at]])
        if stamp in images:
            jpeg = _jpeg(images[stamp], face.boxes[at])
            time = stamp - float(recording.stamps_s[0])
            shown.append(Thumbnail(jpeg, face.face_id, meaning, angle, time))
    return shown


def _extreme(faces: list[FaceTrack], axis: int, sign: int) -> tuple[FaceTrack, int, float] | None:
    """Face, index in it and angle of the largest angle, or the smallest for sign -1."""
    best = None
    for face in faces:
        at = int(np.argmax(sign * face.angles_deg[:, axis]))
        angle = float(face.angles_deg[at, axis])
        if best is None or sign * angle > sign * best[2]:
            best = face, at, angle
    return best


def _images(poses: Path, video: Path | None, stamps: set[float]) -> dict[float, Image]:
    """Those of the images with these stamps that are at hand."""
    source: Iterator[tuple[float, Image]] = iter(())
    if video:
        source = ((round(stamp, 6), image) for stamp, image in VideoReader(video))
    elif poses.suffix != ".jsonl":
        source = _from_bag(poses, stamps)
    return {stamp: image for stamp, image in source if stamp in stamps}


def _from_bag(path: Path, wanted: set[float]) -> Iterator[tuple[float, Image]]:
    """Images at these times; a damaged picture is left out, the page goes without it."""
    from rosbags.serde import SerdeError

    from headpose_core.bags.reader import Bag
    from headpose_core.bags.type_store import Messages

    messages, topic = Messages(), f"/{COMPRESSED_DEBUG_IMAGE}"

    def pictures() -> Iterator[tuple[float, float, Any]]:
        for _, stamp_ns, data in bag.messages([topic] if topic in bag.topics else []):
            with suppress(SerdeError):
                message = messages.deserialize(data, "sensor_msgs/msg/CompressedImage")
                yield seconds(message.header.stamp), stamp_ns * 1e-9, message

    with Bag(path) as bag:
        clock = ImageClock([(stamp_s, came_s) for stamp_s, came_s, _ in islice(pictures(), 2)])
        for stamp_s, came_s, message in pictures():
            time_s = clock.time(stamp_s, came_s)
            if time_s in wanted:
                with suppress(ImageError):
                    yield time_s, view_from_compressed(message).rgb()


def _jpeg(image: Image, box: Any) -> str:
    side = (1 + 2 * _MARGIN) * max(box[2] - box[0], box[3] - box[1], 8.0)
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    zoom = _SIDE / side
    shift = [_SIDE / 2 - zoom * centre[0], _SIDE / 2 - zoom * centre[1]]
    matrix = np.array([[zoom, 0.0, shift[0]], [0.0, zoom, shift[1]]])
    grey = (235, 235, 235)  # beside the image
    small = cv2.warpAffine(image, matrix, (_SIDE, _SIDE), flags=cv2.INTER_AREA, borderValue=grey)
    data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
    return base64.b64encode(data.tobytes()).decode()
