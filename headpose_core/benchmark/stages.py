# SPDX-License-Identifier: Apache-2.0
"""Where the time of a camera frame goes, stage by stage, beside what each could not go below."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headpose_core.benchmark.floors import Floors, multiply_adds
from headpose_core.faces.tracking import Tracker
from headpose_core.faces.yunet import YuNet, find_yunet
from headpose_core.images.image_messages import view_from_message
from headpose_core.images.image_view import ImageView
from headpose_core.messages.heads import head_pose_array
from headpose_core.onnx_files.onnx_file import read_model_file, with_input_size
from headpose_core.pipeline import STAGES, HeadPosePipeline
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.types import Faces

SIZES = ((640, 480), (1280, 720), (1920, 1080))
COUNTS = (1, 4, 8)
TOTAL = "total"
_PROCESSOR = "processor"
_PROBE = 64  # side of the image on which work is counted [px]
_FACE = 0.25  # side of a face over the height of the image
FRAME_STAGES = ("receive", "convert", *STAGES, "publish")


@dataclass(frozen=True)
class Stage:
    """Median milliseconds of one stage of one kind of frame.

    share: of the whole frame. floor_ms, ratio: what it could not go below, and ms over that; None
    where nothing bounds it. "total" has the processor time of a frame in ``cpu_ms``, of all
    threads.
    """

    width: int
    height: int
    faces: int
    stage: str
    ms: float
    share: float
    floor_ms: float | None = None
    ratio: float | None = None
    cpu_ms: float | None = None

    def record(self) -> dict[str, Any]:
        return asdict(self)


class KnownFaces:
    """Runs a detector and reports other faces, so that their number is known."""

    def __init__(self, detector: YuNet, boxes: NDArray[np.float32]) -> None:
        self.settings = detector.settings
        self._detector = detector
        self._faces = Faces(boxes, np.ones(len(boxes), np.float32))

    def detect(self, view: ImageView) -> Faces:
        """The known faces, after looking for others."""
        self._detector.detect(view)
        return self._faces


class FrameBench:
    """The pipeline on camera frames, from a message to a message, without DDS between them.

    pose_work: multiply-adds of the pose network for a face. threads: of each network.
    """

    def __init__(
        self, model: HeadPoseModel, pose_work: float, detector: YuNet, floors: Floors, threads: int
    ) -> None:
        self._model, self._pose_work = model, pose_work
        self._detector, self._floors, self._threads = detector, floors, threads

    def measure(self, size: tuple[int, int], faces: int, seconds: float) -> list[Stage]:
        """All stages of frames of this size (width, height) with so many faces."""
        message = camera_message(*size)
        known = KnownFaces(self._detector, spread_boxes(*size, faces))
        pipeline = HeadPosePipeline(known, self._model, Tracker())
        rows: list[dict[str, float]] = []
        end = time.perf_counter() + seconds
        while len(rows) < 4 or time.perf_counter() < end:
            rows.append(self._frame(pipeline, message, len(rows) / 30))
        told = {name: float(np.median([row[name] for row in rows[1:]])) for name in rows[0]}
        cpu_ms = told.pop(_PROCESSOR)
        total = sum(told.values())
        low = self._lowest(size, faces)
        stages = [
            Stage(*size, faces, name, ms, ms / total, low.get(name), _ratio(ms, low.get(name)))
            for name, ms in told.items()
        ]
        least = sum(low.values())
        return [*stages, Stage(*size, faces, TOTAL, total, 1.0, least, total / least, cpu_ms)]

    def _frame(self, pipeline: HeadPosePipeline, message: Any, stamp_s: float) -> dict[str, float]:
        """One frame from its message to that of its heads: milliseconds by stage, and of the
        processor for all of them."""
        marks = [_clocks()]
        received = SimpleNamespace(**{**vars(message), "data": bytearray(message.data)})
        view = view_from_message(received)
        marks.append(_clocks())
        view.shrunk(self._detector.settings.max_side)
        marks.append(_clocks())
        frame = pipeline(view, stamp_s)
        marks.append(_clocks())
        head_pose_array(_make, frame, message.header, view.shape[1::-1])
        marks.append(_clocks())
        (receive, convert, _, publish), busy = np.diff(marks, axis=0).T.tolist()
        # The detector has shrunk the image once more: that counts once, in both times.
        return {
            "receive": receive,
            "convert": convert,
            **frame.timings_ms,
            "detect": max(frame.timings_ms["detect"] - convert, 0.0),
            "publish": publish,
            _PROCESSOR: sum(busy) - busy[1],
        }

    def _lowest(self, size: tuple[int, int], faces: int) -> dict[str, float]:
        """Milliseconds that each stage could not go below, of those that something bounds."""
        width, height = size
        zoom = min(1.0, self._detector.settings.max_side / max(size))
        small = (round(height * zoom) + 31) // 32 * 32, (round(width * zoom) + 31) // 32 * 32
        side = int(_FACE * height)
        floors, threads = self._floors, self._threads
        lowest = {
            "receive": floors.copy_ms(3 * width * height),
            "convert": floors.copy_ms(3 * width * height),
            "detect": floors.compute_ms(yunet_work(*small), "fp32", threads),
            "crop": floors.copy_ms(3 * faces * side**2),
        }
        if self._model.device == "cpu":
            work, precision = faces * self._pose_work, self._model.precision
            lowest["infer"] = floors.compute_ms(work, precision, threads)
        return lowest


def camera_message(width: int, height: int) -> Any:
    """An Image message, bgr8 as cameras send it, of grey noise."""
    data = np.random.default_rng(0).integers(96, 160, height * width * 3, np.uint8).tobytes()
    header = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id="camera")
    return SimpleNamespace(
        header=header,
        encoding="bgr8",
        width=width,
        height=height,
        step=3 * width,
        is_bigendian=0,
        data=data,
    )


def spread_boxes(width: int, height: int, faces: int) -> NDArray[np.float32]:
    """Boxes (N, 4) of faces in two rows, each a quarter of the image high."""
    side = _FACE * height
    columns = -(-faces // 2)
    x = (np.arange(faces) % columns + 0.5) * width / columns - side / 2
    y = (np.arange(faces) // columns + 0.5) * height / 2 - side / 2
    return np.stack([x, y, x + side, y + side], axis=1).astype(np.float32)


def yunet_work(height: int, width: int) -> int:
    """Multiply-adds of YuNet, which grow with the pixels of its input."""
    data = with_input_size(read_model_file(find_yunet()), _PROBE, _PROBE)
    work = multiply_adds(data, {"input": np.zeros((1, 3, _PROBE, _PROBE), np.float32)})
    return work * height * width // _PROBE**2


def _clocks() -> tuple[float, float]:
    """Time and processor time of this process, milliseconds."""
    return time.perf_counter() * 1e3, time.process_time() * 1e3


def _ratio(ms: float, floor_ms: float | None) -> float | None:
    return ms / floor_ms if floor_ms else None


def _make(type_name: str, /, **fields: Any) -> Any:
    """A message of no particular kind."""
    return SimpleNamespace(**fields)
