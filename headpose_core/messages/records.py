# SPDX-License-Identifier: Apache-2.0
"""Poses as text: a JSON line for each image, or a CSV row for each head."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from headpose_core.geometry.direction import Direction
from headpose_core.geometry.quaternions import quaternion_from_matrix
from headpose_core.geometry.rotation import rep103_angles
from headpose_core.messages.heads import orientation
from headpose_core.output_files import atomic_write
from headpose_core.types import FloatArray, Frame, Head

CSV_COLUMNS = (
    *("stamp", "face_id", "x1", "y1", "x2", "y2", "score"),
    *("left_deg", "up_deg", "tilt_deg"),
    *("rep103_yaw_deg", "rep103_pitch_deg", "rep103_roll_deg"),
    *("paper_yaw_deg", "paper_pitch_deg", "paper_roll_deg"),
    *("paper_yaw_std_deg", "paper_pitch_std_deg", "paper_roll_std_deg"),
    *("extrapolated", "qx", "qy", "qz", "qw", "x_m", "y_m", "z_m"),
)


def head_record(head: Head) -> dict[str, Any]:
    """A head for JSON.

    box: pixels. direction: where the nose points about the viewing ray, filtered if there is a
    filter. rep103_deg: yaw, pitch, roll of the same as the ROS message has them, in degrees.
    paper_deg, paper_std_deg: yaw, pitch, roll of the paper, unfiltered, about the viewing ray.
    orientation_xyzw: quaternion of the REP-103 axes in the optical frame. position_m: the sellion
    in the optical frame, only when the camera is calibrated.
    """
    record: dict[str, Any] = {"face_id": head.face_id} if head.face_id else {}
    record |= {
        "box": _rounded(head.box, 2),
        "score": round(head.score, 4),
        "direction": {k: round(v, 2) for k, v in asdict(Direction.of(head.rotation)).items()},
        "rep103_deg": _rounded(np.degrees(rep103_angles(head.rotation)), 3),
        "paper_deg": _rounded(head.paper_angles_deg, 3),
        "paper_std_deg": _rounded(head.std_deg, 3),
        "extrapolated": head.extrapolated,
        "orientation_xyzw": _rounded(quaternion_from_matrix(orientation(head)), 6),
    }
    if np.isfinite(head.position).all():
        record["position_m"] = _rounded(head.position, 4)
    return record


def frame_record(frame: Frame) -> dict[str, Any]:
    """An image for JSON: its time, how long it took, and its heads, in their order."""
    return {
        "stamp": round(frame.stamp_s, 6),
        "processing_ms": round(sum(frame.timings_ms.values()), 2),
        "heads": [head_record(head) for head in frame.heads],
    }


def line(record: dict[str, Any]) -> str:
    """A record as one line of JSON."""
    return json.dumps(record, allow_nan=False)


@contextmanager
def write_records(jsonl: Path | None, csv_file: Path | None) -> Iterator[Callable[[Frame], None]]:
    """A function that takes frames into these files, which appear when the block ends.

    ``jsonl`` may be "-" for standard output. An image without heads is a line, but not a row.
    """
    with ExitStack() as stack:
        lines = stack.enter_context(text_file(jsonl)) if jsonl else None
        rows = None
        if csv_file:
            rows = csv.writer(stack.enter_context(text_file(csv_file)), lineterminator="\n")
            rows.writerow(CSV_COLUMNS)

        def write(frame: Frame) -> None:
            record = frame_record(frame)
            if lines:
                print(line(record), file=lines, flush=lines is sys.stdout)
            if rows:
                rows.writerows(_row(record["stamp"], head) for head in record["heads"])

        yield write


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """A text file that appears when the block ends; "-" is standard output."""
    if str(path) == "-":
        yield sys.stdout
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        yield file


def _row(stamp: float, head: dict[str, Any]) -> list[Any]:
    position = head.get("position_m", [""] * 3)
    start = [stamp, head.get("face_id", ""), *head["box"], head["score"]]
    angles = [*head["direction"].values(), *head["rep103_deg"], *head["paper_deg"]]
    end = [head["extrapolated"], *head["orientation_xyzw"], *position]
    return [*start, *angles, *head["paper_std_deg"], *end]


def _rounded(values: FloatArray | Any, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]
