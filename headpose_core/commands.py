# SPDX-License-Identifier: Apache-2.0
"""What the command ``headpose`` does: one function per subcommand, parsed options to exit status.

Records go to standard output or to the file that was asked for, one JSON object per line; all
words go to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np

from headpose_core import __version__
from headpose_core.drawing import draw_heads, readable_zoom
from headpose_core.errors import DeviceError, ImageError, ModelError
from headpose_core.files import appearing
from headpose_core.image import read_image, write_image
from headpose_core.pipeline import HeadPosePipeline, PipelineConfig
from headpose_core.runtime import HeadPoseModel
from headpose_core.sessions import import_onnxruntime
from headpose_core.tracking import Tracker
from headpose_core.types import Frame, Head
from headpose_core.video import VideoReader, write_video
from headpose_core.yunet import YuNet


def image(args: argparse.Namespace) -> int:
    """Photos: one record each, annotated copies into a folder. A bad photo does not stop it."""
    pipeline = _pipeline(args, tracker=None)
    args.out.mkdir(parents=True, exist_ok=True)
    pairs = zip(args.photos, _targets(args.photos, args.out), strict=True)
    done = [_photo(pipeline, photo, target, args.zoom) for photo, target in pairs]
    if all(done):
        return 0
    say(f"{done.count(False)} of {len(done)} photos failed")
    return 1


def _photo(pipeline: HeadPosePipeline, path: Path, target: Path, zoom: float | None) -> bool:
    """One photo: its annotated copy, then its record. False when it failed, which is said."""
    try:
        pixels = read_image(path)
        frame = pipeline(pixels, stamp_s=0.0)
        copy = draw_heads(pixels, frame.heads, zoom=zoom or readable_zoom(pixels))
        write_image(target, copy)
    except ImageError as error:
        say(f"error: {error}")
        return False
    print(_line(image=str(path), heads=_records(frame)), flush=True)
    return True


def video(args: argparse.Namespace) -> int:
    """A video: annotated copy, and a record of every image."""
    from tqdm import tqdm

    reader = VideoReader(args.video)
    for path in filter(None, (args.out, args.jsonl)):
        if path.exists() and path.samefile(args.video):
            raise ImageError(f"{path}: the output would replace the input, give another name")
        path.parent.mkdir(parents=True, exist_ok=True)
    pipeline = _pipeline(args, Tracker())
    images = faces = 0
    with write_video(args.out, reader.fps) as writer, _text_file(args.jsonl) as records:
        for stamp, pixels in tqdm(reader, total=reader.count or None, unit=" images"):
            frame = pipeline(pixels, stamp)
            zoom = args.zoom or readable_zoom(pixels)
            writer.write(draw_heads(pixels, frame.heads, zoom=zoom))
            print(_line(stamp=round(stamp, 6), heads=_records(frame)), file=records)
            images, faces = images + 1, faces + len(frame.heads)
        if not images:
            raise ImageError(f"{args.video}: expected a video with images, none can be decoded")
    say(f"{images} images, {faces} heads -> {args.out}")
    if images < reader.count:
        say(f"warning: {args.video} announces {reader.count} images, {images} could be read")
    return 0


def info(args: argparse.Namespace) -> int:
    """Versions, files and devices, as for a bug report; what is missing is said at its place."""
    parts = (_about_versions, _about_runtime, _about_detector, _about_model)
    shown = [_show(part, args) for part in parts]
    return 0 if all(shown) else 1


def _show(about: Callable[[argparse.Namespace], dict[str, Any]], args: argparse.Namespace) -> bool:
    """Print one part as a table; False when it is missing."""
    rows: dict[str, Any]
    try:
        rows, found = about(args), True
    except (ModelError, DeviceError) as error:
        rows, found = {about.__name__.removeprefix("_about_"): error}, False
    for name, value in rows.items():
        print(f"{name:<14} {value}")
    return found


def _about_versions(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "headpose": __version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }


def _about_runtime(args: argparse.Namespace) -> dict[str, Any]:
    ort = import_onnxruntime()
    return {"onnxruntime": f"{ort.__version__} with {', '.join(ort.get_available_providers())}"}


def _about_detector(args: argparse.Namespace) -> dict[str, Any]:
    return {"detector": _detector(args).model_path}


def _about_model(args: argparse.Namespace) -> dict[str, Any]:
    model = _model(args)
    about = model.metadata
    return {
        "model": f"{about.name} {about.version}",
        "licence": about.licence,
        "training data": about.training_data,
        "metrics": json.dumps(about.metrics),
        "temperature": about.temperature.tolist(),
        "git hash": about.git_hash,
        "device": f"asked {model.device_asked}, got {model.device} on {model.backend}",
    }


def _pipeline(args: argparse.Namespace, tracker: Tracker | None) -> HeadPosePipeline:
    """The pipeline that the options describe; says which device it got."""
    model = _model(args)
    say(f"device: asked {model.device_asked}, got {model.device} on {model.backend}")
    config = PipelineConfig(max_faces=args.max_faces)
    return HeadPosePipeline(_detector(args), model, tracker, config)


def _detector(args: argparse.Namespace) -> YuNet:
    return YuNet(
        args.detector_model,
        max_side=args.max_side,
        score_threshold=args.score_threshold,
        min_face_size=args.min_face_size,
        threads=args.threads,
    )


def _model(args: argparse.Namespace) -> HeadPoseModel:
    return HeadPoseModel.load(
        args.model,
        device=args.device,
        threads=args.threads,
        allow_cpu_fallback=not args.no_cpu_fallback,
    )


def _targets(photos: Sequence[Path], folder: Path) -> list[Path]:
    """Where the annotated copies go: no two alike, and none like a photo's own name."""
    names: Counter[str] = Counter()
    targets = []
    for photo in photos:
        names[photo.stem] += 1
        count = f"_{names[photo.stem]}" if names[photo.stem] > 1 else ""
        targets.append(folder / f"{photo.stem}_headpose{count}.jpg")
    return targets


def head_record(head: Head) -> dict[str, Any]:
    """A head as JSON: box in pixels, angles of the paper and their one-sigma in degrees."""
    yaw, pitch, roll = (round(float(angle), 3) for angle in head.paper_angles_deg)
    record = {"face_id": head.face_id} if head.face_id else {}
    return record | {
        "box": [round(float(side), 2) for side in head.box],
        "score": round(head.score, 4),
        "yaw_deg": yaw,
        "pitch_deg": pitch,
        "roll_deg": roll,
        "std_deg": [round(float(std), 3) for std in head.std_deg],
    }


def _records(frame: Frame) -> list[dict[str, Any]]:
    return [head_record(head) for head in frame.heads]


def _line(**record: Any) -> str:
    return json.dumps(record, allow_nan=False)


@contextmanager
def _text_file(path: Path | None) -> Iterator[TextIO]:
    """A text file that appears when the block ends; without a path it goes nowhere."""
    if path is None:
        with Path(os.devnull).open("w") as file:
            yield file
    else:
        with appearing(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
            yield file


def say(message: str) -> None:
    print(f"headpose: {message}", file=sys.stderr)
