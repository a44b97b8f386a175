# SPDX-License-Identifier: Apache-2.0
"""``headpose image``, ``video`` and ``camera``: parsed options to exit status.

Records go to standard output or to the file that was asked for, one JSON object per line; all
words go to standard error.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from headpose_core.drawing import draw_heads, readable_zoom
from headpose_core.errors import ImageError
from headpose_core.image import read_image, write_image
from headpose_core.options import (
    Outputs,
    build_pipeline,
    found_files,
    named_like,
    outputs,
    say,
    stoppable,
)
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.records import frame_record, line, text_file, write_records
from headpose_core.tracking import Tracker
from headpose_core.types import Image
from headpose_core.video import VideoReader, capture_images, open_camera, write_video
from headpose_core.window import Window, window_problem

PHOTOS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
INTERRUPTED = 130


def image(args: argparse.Namespace) -> int:
    """Photos: one record each, annotated copies into a folder. A bad photo does not stop it."""
    photos = found_files(args.photos, PHOTOS)[:: args.every]
    copies = named_like(photos, args.out, ".jpg") if args.out else [None] * len(photos)
    pipeline = build_pipeline(args, tracker=None)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    with stoppable() as stopped, text_file(args.jsonl) as records:
        for photo, copy in progress(list(zip(photos, copies, strict=True)), args, " photos"):
            if stopped():
                return INTERRUPTED
            try:
                record = _photo(pipeline, photo, copy, args.zoom)
            except ImageError as error:
                say(f"error: {error}")
                failed += 1
            else:
                print(line(record), file=records, flush=True)
    if failed:
        say(f"{failed} of {len(photos)} photos failed")
    return 1 if failed else 0


def _photo(
    pipeline: HeadPosePipeline, path: Path, copy: Path | None, zoom: float | None
) -> dict[str, Any]:
    """The record of one photo; its annotated copy is written first."""
    pixels = read_image(path)
    frame = pipeline(pixels, stamp_s=0.0)
    if copy:
        write_image(copy, draw_heads(pixels, frame.heads, zoom=zoom or readable_zoom(pixels)))
    return {"image": str(path), "heads": frame_record(frame)["heads"]}


def video(args: argparse.Namespace) -> int:
    """Videos: annotated copies, and a record of every image. A bad video does not stop it."""
    videos = found_files(args.videos, VIDEOS)
    status = 0
    for path, files in zip(videos, outputs(args, videos, ".mp4"), strict=True):
        try:
            reader = VideoReader(path)
            pipeline = build_pipeline(args, Tracker())
            images = progress(reader, args, " images", reader.count or None)
            count, interrupted = _film(images, reader.fps, pipeline, args, files)
        except ImageError as error:
            say(f"error: {error}")
            status = 1
            continue
        if interrupted:
            return INTERRUPTED
        if count < reader.count:
            say(f"warning: {path} announces {reader.count} images, {count} could be read")
    return status


def camera(args: argparse.Namespace) -> int:
    """A camera: a window, a video, records, until it is closed or Ctrl-C comes."""
    problem = window_problem()
    if problem and not (args.out or args.jsonl or args.csv):
        raise ImageError(f"nothing can be shown: {problem}. Give --out, --jsonl or --csv")
    if problem:
        say(f"no window: {problem}")
    capture, fps = open_camera(args.source)
    images = progress(capture_images(capture, time.time), args, " images")
    files = Outputs(args.out, args.jsonl, args.csv)
    pipeline = build_pipeline(args, Tracker())
    window = None if problem else Window(f"headpose {args.source}")
    try:
        _, interrupted = _film(images, fps, pipeline, args, files, window)
    finally:
        capture.release()
        if window:
            window.close()
    return INTERRUPTED if interrupted else 0


def _film(
    images: Iterable[tuple[float, Image]],
    fps: float,
    pipeline: HeadPosePipeline,
    args: argparse.Namespace,
    files: Outputs,
    window: Window | None = None,
) -> tuple[int, bool]:
    """Images with their stamps through the pipeline: how many came, and whether Ctrl-C did."""
    came = done = heads = 0
    shows: list[Callable[[Image], None]] = [window.show] if window else []
    with ExitStack() as stack:
        stopped = stack.enter_context(stoppable())
        if files.out:
            shows.append(stack.enter_context(write_video(files.out, fps / args.every)).write)
        record = stack.enter_context(write_records(files.jsonl, files.csv))
        for stamp, pixels in images:
            if stopped() or (window and window.is_closed):
                break
            came += 1
            if (came - 1) % args.every:
                continue
            frame = pipeline(pixels, stamp)
            record(frame)
            done, heads = done + 1, heads + len(frame.heads)
            if shows:
                drawn = draw_heads(pixels, frame.heads, zoom=args.zoom or readable_zoom(pixels))
                for show in shows:
                    show(drawn)
        interrupted = stopped()
        if not came and not interrupted:
            raise ImageError("expected images, none can be decoded")
    say(f"{done} images, {heads} heads" + (f" -> {files.out}" if files.out else ""))
    return came, interrupted


def progress(
    items: Iterable[Any], args: argparse.Namespace, unit: str, total: int | None = None
) -> Iterable[Any]:
    """The items, with a bar on a terminal unless --quiet."""
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(items, total=total, unit=unit, disable=True if args.quiet else None)
    return bar
