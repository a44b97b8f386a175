# SPDX-License-Identifier: Apache-2.0
"""Poses as they were recorded: JSON lines of ``headpose video`` or ``bag``, or a ROS 2 bag."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headpose_core.geometry.rotation import matrix_from_angles
from headpose_core.types import FloatArray

FORWARD = np.array([0.0, 0.0, -1.0])  # out of a frontal face, in optical axes


@dataclass(frozen=True)
class FaceTrack:
    """One face over time: n images that show it.

    image: (n,) int, index into the recording's images. angles_deg, std_deg: (n, 3) yaw, pitch and
    roll of the paper with their one-sigma. boxes: (n, 4) pixels, x1, y1, x2, y2.
    """

    face_id: str
    image: NDArray[np.int64]
    angles_deg: FloatArray
    std_deg: FloatArray
    boxes: FloatArray

    def off_centre_deg(self, yaw_deg: float, pitch_deg: float) -> FloatArray:
        """(n,) degrees between the head's direction and the one of these angles."""
        directions = matrix_from_angles(self.angles_deg) @ FORWARD
        centre = matrix_from_angles(np.array([yaw_deg, pitch_deg, 0.0])) @ FORWARD
        return np.asarray(np.degrees(np.arccos(np.clip(directions @ centre, -1.0, 1.0))))


@dataclass(frozen=True)
class Recording:
    """What was seen in M images.

    stamps_s: (M,) ascending. latency_ms: (M,), NaN where not known. latency_name: what it is.
    faces: those with most images first.
    """

    source: str
    stamps_s: FloatArray
    latency_ms: FloatArray
    latency_name: str
    faces: list[FaceTrack]


def read_recording(path: Path, topic: str) -> Recording:
    """Read a .jsonl file, or a bag with a HeadPoseArray topic. Raises ValueError otherwise."""
    if path.suffix == ".jsonl":
        rows, name = list(_from_lines(path)), "processing"
    else:
        rows, name = list(_from_bag(path, topic)), "from the image's stamp to the recorded message"
    if not rows:
        raise ValueError(f"{path}: expected poses of at least one image, got none")
    rows.sort(key=lambda row: row[0])
    heads: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for index, (_, _, found) in enumerate(rows):
        for head in found:
            heads.setdefault(str(head.get("face_id", "?")), []).append((index, head))
    faces = [_track(face_id, seen) for face_id, seen in heads.items()]
    faces.sort(key=lambda face: -len(face.image))
    stamps = np.array([row[0] for row in rows])
    return Recording(path.name, stamps, np.array([row[1] for row in rows]), name, faces)


def _track(face_id: str, seen: list[tuple[int, dict[str, Any]]]) -> FaceTrack:
    heads = [head for _, head in seen]
    angles = [head["angles_deg"] for head in heads]
    return FaceTrack(
        face_id,
        np.array([index for index, _ in seen], np.int64),
        np.array(angles, np.float64),
        np.array([head["std_deg"] for head in heads], np.float64),
        np.array([head["box"] for head in heads], np.float64),
    )


def _from_lines(path: Path) -> Iterator[tuple[float, float, list[dict[str, Any]]]]:
    """Stamp, latency and heads of each line."""
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            try:
                record = json.loads(text)
                stamp, latency = float(record["stamp"]), float(record.get("processing_ms", "nan"))
                heads = [_checked(head) for head in record["heads"]]
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{path}, line {number}: expected a line of `headpose video --jsonl` or "
                    f"`headpose bag --jsonl`, got {text[:60]!r} ({error!r})"
                ) from error
            yield stamp, latency, heads


def _checked(head: dict[str, Any]) -> dict[str, Any]:
    """The part that is used of a head. Lines of before 0.5.0 name the angles in another way."""
    old = [head.get(f"{name}_deg") for name in ("yaw", "pitch", "roll")]
    found = {
        "face_id": head.get("face_id", "?"),
        "box": head["box"],
        "angles_deg": head.get("paper_deg", old),
        "std_deg": head["paper_std_deg"] if "paper_deg" in head else head["std_deg"],
    }
    for name, size in (("box", 4), ("angles_deg", 3), ("std_deg", 3)):
        if np.array(found[name], np.float64).shape != (size,):
            raise ValueError(f"'{name}' has not {size} numbers")
    return found


def _from_bag(path: Path, topic: str) -> Iterator[tuple[float, float, list[dict[str, Any]]]]:
    from headpose_core.bags.reader import Bag
    from headpose_core.bags.type_store import Messages
    from headpose_core.messages.heads import seconds

    kind, messages = "headpose_ros/msg/HeadPoseArray", Messages()
    with Bag(path) as bag:
        if topic not in bag.topics or bag.topics[topic].type_name != kind:
            found = [t.name for t in bag.topics.values() if t.type_name == kind]
            raise ValueError(
                f"{path}: expected poses on {topic}, there are some on "
                f"{', '.join(found) or 'no topic'} (--topic)"
            )
        for _, stamp_ns, data in bag.messages([topic]):
            array = messages.deserialize(data, kind)
            stamp = seconds(array.header.stamp)
            yield stamp, stamp_ns * 1e-6 - stamp * 1e3, [_from_message(h) for h in array.heads]


def _from_message(head: Any) -> dict[str, Any]:
    roi = head.roi
    x, y = roi.x_offset, roi.y_offset
    return {
        "face_id": head.face_id,
        "angles_deg": head.paper_angles,
        "std_deg": np.degrees(head.stddev),
        "box": [x, y, x + roi.width, y + roi.height],
    }
