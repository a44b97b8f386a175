# SPDX-License-Identifier: Apache-2.0
"""``headpose video``: films."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from headpose_core.commands.arguments import add_pace, add_record_files, add_zoom, new_command
from headpose_core.commands.file_arguments import found_files, outputs
from headpose_core.commands.film import film
from headpose_core.commands.pipeline_arguments import build_pipeline, pipeline_options
from headpose_core.commands.terminal import INTERRUPTED, named, progress, say
from headpose_core.errors import ImageError
from headpose_core.faces.tracking import Tracker
from headpose_core.images.video import VIDEOS, VideoReader


def add_parser(subcommands: Any) -> None:
    """Add the subcommand to ``argparse``'s."""
    video = new_command(
        subcommands,
        "video",
        "videos: annotated copies, and a record for each image",
        "headpose video drive.mp4 --out annotated.mp4 --jsonl poses.jsonl",
        run,
        pipeline_options(max_faces=100),
    )
    video.add_argument("videos", nargs="+", metavar="IN", help="a file, a folder or a pattern")
    video.add_argument("--out", type=Path, metavar="OUT.mp4", help="annotated; or a folder")
    add_record_files(video)
    add_pace(video, "image")
    add_zoom(video)


def run(args: argparse.Namespace) -> int:
    """Videos: annotated copies, and a record of every image. A bad video does not stop it."""
    videos = found_files(args.videos, VIDEOS)
    status = 0
    for path, files in zip(videos, outputs(args, videos, ".mp4"), strict=True):
        try:
            reader = VideoReader(path)
            pipeline = build_pipeline(args, Tracker())
            images = progress(reader, args, " images", reader.count or None)
            _, interrupted = film(images, reader.fps, pipeline, args, files)
        except ImageError as error:
            say(f"error: {named(path, error)}")
            status = 1
            continue
        if interrupted:
            return INTERRUPTED
        for note in reader.notes:
            say(f"warning: {path} {note}")
    return status
