# SPDX-License-Identifier: Apache-2.0
"""The command ``headpose``: photos and videos without ROS.

Records go to standard output or to the file that was asked for, one JSON object per line; all
words go to standard error. Exit status: 0 all done, 1 something could not be done, 2 wrong use.
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
from headpose_core.image import read_image, write_image
from headpose_core.pipeline import HeadPosePipeline, PipelineConfig
from headpose_core.runtime import HeadPoseModel
from headpose_core.sessions import import_onnxruntime
from headpose_core.tracking import Tracker
from headpose_core.types import Frame, Head
from headpose_core.video import VideoReader, VideoWriter
from headpose_core.yunet import YuNet


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default the process's. Returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (ModelError, DeviceError, ImageError, ValueError, OSError) as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted")
        return 130


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


def _image(args: argparse.Namespace) -> int:
    """Photos: one record each, annotated copies into a folder. A bad photo does not stop it."""
    pipeline = _pipeline(args, tracker=None)
    args.out.mkdir(parents=True, exist_ok=True)
    pairs = zip(args.photos, _targets(args.photos, args.out), strict=True)
    done = [_photo(pipeline, photo, target, args.zoom) for photo, target in pairs]
    if all(done):
        return 0
    _say(f"{done.count(False)} of {len(done)} photos failed")
    return 1


def _photo(pipeline: HeadPosePipeline, path: Path, target: Path, zoom: float | None) -> bool:
    """One photo: its annotated copy, then its record. False when it failed, which is said."""
    try:
        image = read_image(path)
        frame = pipeline(image, stamp_s=0.0)
        write_image(target, draw_heads(image, frame.heads, zoom=zoom or readable_zoom(image)))
    except ImageError as error:
        _say(f"error: {error}")
        return False
    print(_line(image=str(path), heads=_records(frame)), flush=True)
    return True


def _video(args: argparse.Namespace) -> int:
    """A video: annotated copy, and a record of every image."""
    from tqdm import tqdm

    reader = VideoReader(args.video)
    for path in filter(None, (args.out, args.jsonl)):
        if path.exists() and path.samefile(args.video):
            raise ImageError(f"{path}: the output would replace the input, give another name")
        path.parent.mkdir(parents=True, exist_ok=True)
    pipeline = _pipeline(args, Tracker())
    images = faces = 0
    with VideoWriter(args.out, reader.fps) as writer, _appearing(args.jsonl) as records:
        for stamp, image in tqdm(reader, total=reader.count or None, unit=" images"):
            frame = pipeline(image, stamp)
            zoom = args.zoom or readable_zoom(image)
            writer.write(draw_heads(image, frame.heads, zoom=zoom))
            print(_line(stamp=round(stamp, 6), heads=_records(frame)), file=records)
            images, faces = images + 1, faces + len(frame.heads)
        if not images:
            raise ImageError(f"{args.video}: expected a video with images, none can be decoded")
    _say(f"{images} images, {faces} heads -> {args.out}")
    if images < reader.count:
        _say(f"warning: {args.video} announces {reader.count} images, {images} could be read")
    return 0


def _info(args: argparse.Namespace) -> int:
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
    _say(f"device: asked {model.device_asked}, got {model.device} on {model.backend}")
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


def _records(frame: Frame) -> list[dict[str, Any]]:
    return [head_record(head) for head in frame.heads]


def _line(**record: Any) -> str:
    return json.dumps(record, allow_nan=False, ensure_ascii=False)


@contextmanager
def _appearing(path: Path | None) -> Iterator[TextIO]:
    """A text file that appears under its name when the block ends without error."""
    if path is None:
        with Path(os.devnull).open("w") as nowhere:
            yield nowhere
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _say(message: str) -> None:
    print(f"headpose: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headpose", description="Head pose of every face in photos and videos (EHPNet)."
    )
    parser.add_argument("--version", action="version", version=f"headpose {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    options = _options()

    image = commands.add_parser(
        "image",
        parents=[options],
        help="photos: a JSON line each, and annotated copies",
        description="Print a JSON line for each photo and write annotated copies. Angles are the "
        "paper's, in degrees: yaw > 0 nose to the image's left, pitch > 0 up, roll > 0 clockwise.",
    )
    image.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    image.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the copies")
    image.set_defaults(run=_image)

    video = commands.add_parser(
        "video",
        parents=[options],
        help="a video: annotated copy, and a JSON line for each image",
        description="Write an annotated copy of a video, and a JSON line for each of its images.",
    )
    video.add_argument("video", type=Path, metavar="IN")
    video.add_argument("--out", type=Path, required=True, metavar="OUT.mp4")
    video.add_argument("--jsonl", type=Path, metavar="OUT.jsonl", help="for the poses")
    video.set_defaults(run=_video)

    info = commands.add_parser(
        "info", parents=[options], help="versions, model, detector and device in use"
    )
    info.set_defaults(run=_info)
    return parser


def _options() -> argparse.ArgumentParser:
    """What all commands take."""
    options = argparse.ArgumentParser(add_help=False)
    add = options.add_argument
    add("--model", type=Path, metavar="FILE", help="pose network, by default the shipped one")
    add("--device", default="auto", choices=["auto", "cpu", "cuda", "tensorrt"])
    add("--no-cpu-fallback", action="store_true", help="fail when the device cannot be had")
    add("--threads", type=int, default=1, metavar="N", help="of each network (default 1)")
    add("--detector-model", type=Path, metavar="FILE", help="another YuNet file")
    add("--max-side", type=int, default=640, metavar="PX", help="detect at this size (640)")
    add("--score-threshold", type=float, default=0.6, metavar="S", help="of a face (0.6)")
    add("--min-face-size", type=float, default=24.0, metavar="PX", help="drop smaller (24)")
    add("--max-faces", type=int, default=100, metavar="N", help="keep the largest (100)")
    add("--zoom", type=float, metavar="Z", help="of annotated copies (default: until readable)")
    return options
