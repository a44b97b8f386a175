# SPDX-License-Identifier: Apache-2.0
"""Poses as they were recorded: JSON lines of ``headpose video`` or ``bag``, or a ROS 2 bag."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headpose_core.geometry.rotation import matrix_from_angles
from headpose_core.messages.heads import seconds
from headpose_core.messages.stamps import ImageClock
from headpose_core.types import FloatArray

_Row = tuple[float, float, list[dict[str, Any]]]  # time in seconds, latency in ms, heads
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
    faces: those with most images first. notes: what is missing, or cannot be known.
    """

    source: str
    stamps_s: FloatArray
    latency_ms: FloatArray
    latency_name: str
    faces: list[FaceTrack]
    notes: list[str] = field(default_factory=list)


def read_recording(path: Path, topic: str) -> Recording:
    """Read a .jsonl file, or a bag with a HeadPoseArray topic. Raises ValueError otherwise."""
    notes: list[str] = []
    if path.suffix == ".jsonl":
        rows, latency = list(_from_lines(path)), "processing"
    else:
        rows = _from_bag(path, topic, notes)
        latency = "from the image's stamp to the recorded message"
    if not rows:
        raise ValueError(f"{path}: expected poses of at least one image, got none")
    rows.sort(key=lambda row: row[0])
    if len(rows) > 1 and rows[0][0] == rows[-1][0]:
        notes.append("all images have the same stamp: how long anything lasted is not known")
    heads: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for index, (_, _, found) in enumerate(rows):
        for head in found:
            heads.setdefault(str(head.get("face_id", "?")), []).append((index, head))
    faces = [_track(face_id, seen) for face_id, seen in heads.items()]
    faces.sort(key=lambda face: -len(face.image))
    stamps = np.array([row[0] for row in rows])
    return Recording(path.name, stamps, np.array([row[1] for row in rows]), latency, faces, notes)


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


def _from_lines(path: Path) -> Iterator[_Row]:
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


def _from_bag(path: Path, topic: str, notes: list[str]) -> list[_Row]:
    """The same of each message of a topic; what is to be said goes to ``notes``."""
    from rosbags.serde import SerdeError

    from headpose_core.bags.reader import Bag
    from headpose_core.bags.type_store import Messages

    kind, messages = "headpose_ros/msg/HeadPoseArray", Messages()
    arrays: list[tuple[Any, float]] = []
    damaged = 0
    with Bag(path) as bag:
        if topic not in bag.topics or bag.topics[topic].type_name != kind:
            found = [t.name for t in bag.topics.values() if t.type_name == kind]
            raise ValueError(
                f"{path}: expected poses on {topic}, there are some on "
                f"{', '.join(found) or 'no topic'} (--topic)"
            )
        for _, stamp_ns, data in bag.messages([topic]):
            try:
                arrays.append((messages.deserialize(data, kind), stamp_ns * 1e-9))
            except SerdeError:  # noqa: PERF203 (one that is damaged)
                damaged += 1
        notes += bag.lost
    if damaged:
        notes.append(f"{damaged} messages of {topic} are damaged, or of another version")
    times = [(seconds(array.header.stamp), came_s) for array, came_s in arrays]
    clock = ImageClock(times)
    rows = []
    for (array, came_s), pair in zip(arrays, times, strict=True):
        time_s = clock.time(*pair)
        latency_ms = np.nan if clock.problem else (came_s - time_s) * 1e3
        rows.append((time_s, latency_ms, [_from_message(head) for head in array.heads]))
    notes += clock.notes(topic)
    return rows


def _from_message(head: Any) -> dict[str, Any]:
    roi = head.roi
    x, y = roi.x_offset, roi.y_offset
    return {
        "face_id": head.face_id,
        "angles_deg": head.paper_angles,
        "std_deg": np.degrees(head.stddev),
        "box": [x, y, x + roi.width, y + roi.height],
    }
