# SPDX-License-Identifier: Apache-2.0
"""``headpose image``, ``video`` and ``camera``: parsed options to exit status.

Records go to standard output or to the file that was asked for, one JSON object per line; all
words go to standard error.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from headpose_core.drawing import draw_heads, readable_zoom
from headpose_core.errors import ImageError
from headpose_core.image import read_image, write_image
from headpose_core.options import (
    build_pipeline,
    found_files,
    named_like,
    output_files,
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
    _check_outputs(args)
    copies = output_files(videos, args.out, ".mp4")
    texts = output_files(videos, args.jsonl, ".jsonl")
    tables = output_files(videos, args.csv, ".csv")
    status = 0
    for path, copy, jsonl, table in zip(videos, copies, texts, tables, strict=True):
        try:
            reader = VideoReader(path)
            pipeline = build_pipeline(args, Tracker())
            bar = progress(reader, args, " images", reader.count or None)
            done, status_here = _film(bar, reader.fps, pipeline, args, copy, jsonl, table)
        except ImageError as error:
            say(f"error: {path}: {error}")
            status = 1
            continue
        if status_here:
            return status_here
        if done * args.every < reader.count:
            say(f"warning: {path} announces {reader.count} images, {done * args.every} were read")
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
    pipeline = build_pipeline(args, Tracker())
    window = None if problem else Window(f"headpose {args.source}")
    try:
        return _film(images, fps, pipeline, args, args.out, args.jsonl, args.csv, window)[1]
    finally:
        capture.release()
        if window:
            window.close()


def _film(
    images: Iterable[tuple[float, Image]],
    fps: float,
    pipeline: HeadPosePipeline,
    args: argparse.Namespace,
    out: Path | None,
    jsonl: Path | None,
    table: Path | None,
    window: Window | None = None,
) -> tuple[int, int]:
    """Images with their stamps through the pipeline. Returns how many, and the exit status."""
    count = heads = 0
    with ExitStack() as stack:
        stopped = stack.enter_context(stoppable())
        writer = stack.enter_context(write_video(out, fps / args.every)) if out else None
        write = stack.enter_context(write_records(jsonl, table))
        for number, (stamp, pixels) in enumerate(images):
            if stopped() or (window and window.is_closed):
                break
            if number % args.every:
                continue
            frame = pipeline(pixels, stamp)
            count, heads = count + 1, heads + len(frame.heads)
            write(frame)
            if writer or window:
                drawn = draw_heads(pixels, frame.heads, zoom=args.zoom or readable_zoom(pixels))
                if writer:
                    writer.write(drawn)
                if window:
                    window.show(drawn)
        if not count and not stopped():
            raise ImageError("expected images, none can be decoded")
        status = INTERRUPTED if stopped() else 0
    say(f"{count} images, {heads} heads" + (f" -> {out}" if out else ""))
    return count, status


def _check_outputs(args: argparse.Namespace) -> None:
    if not (args.out or args.jsonl or args.csv):
        raise ValueError("nothing to write: give --out, --jsonl or --csv")


def progress(
    items: Iterable[Any], args: argparse.Namespace, unit: str, total: int | None = None
) -> Iterable[Any]:
    """The items, with a bar on a terminal unless --quiet."""
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(items, total=total, unit=unit, disable=True if args.quiet else None)
    return bar
