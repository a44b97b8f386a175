# SPDX-License-Identifier: Apache-2.0
"""``headpose camera``: a camera, live."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from headpose_core.commands.arguments import add_pace, add_record_files, add_zoom, new_command
from headpose_core.commands.file_arguments import Outputs, check_outputs
from headpose_core.commands.film import film
from headpose_core.commands.pipeline_arguments import build_pipeline, pipeline_options
from headpose_core.commands.terminal import INTERRUPTED, progress, say
from headpose_core.commands.window import Window, window_problem
from headpose_core.errors import ImageError
from headpose_core.faces.tracking import Tracker
from headpose_core.images.capture import capture_images, open_camera


def add_parser(subcommands: Any) -> None:
    """Add the subcommand to ``argparse``'s."""
    camera = new_command(
        subcommands,
        "camera",
        "a camera: a live window, and a record for each image",
        "headpose camera 0 --jsonl poses.jsonl",
        run,
        pipeline_options(),
    )
    camera.add_argument("source", metavar="N", help="its number, or an address such as rtsp://...")
    camera.add_argument("--out", type=Path, metavar="OUT.mp4", help="an annotated video")
    add_record_files(camera)
    add_pace(camera, "image")
    add_zoom(camera)


def run(args: argparse.Namespace) -> int:
    """A camera: a window, a video, records, until it is closed or Ctrl-C comes."""
    problem = window_problem()
    if problem and not (args.out or args.jsonl or args.csv):
        raise ImageError(f"nothing can be shown: {problem}. Give --out, --jsonl or --csv")
    if problem:
        say(f"no window: {problem}")
    read = [Path(args.source), args.model, args.detector_model]
    check_outputs(read, [args.out, args.jsonl, args.csv])
    capture, fps = open_camera(args.source)
    images = progress(capture_images(capture, time.time), args, " images")
    files = Outputs(args.out, args.jsonl, args.csv)
    pipeline = build_pipeline(args, Tracker())
    window = None if problem else Window(f"headpose {args.source}")
    try:
        _, interrupted = film(images, fps, pipeline, args, files, window)
    finally:
        capture.release()
        if window:
            window.close()
    return INTERRUPTED if interrupted else 0
