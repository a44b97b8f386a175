# SPDX-License-Identifier: Apache-2.0
"""``headpose image``: photos."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from headpose_core.commands.arguments import add_pace, add_zoom, new_command
from headpose_core.commands.copies import MARK, annotated
from headpose_core.commands.file_arguments import check_outputs, found_files, named_like
from headpose_core.commands.pipeline_arguments import build_pipeline, pipeline_options
from headpose_core.commands.terminal import INTERRUPTED, named, progress, say, stoppable
from headpose_core.errors import ImageError
from headpose_core.images.image_files import PICTURES, read_photo, write_image
from headpose_core.messages.records import frame_record, line
from headpose_core.output_files import is_stream, text_file, told_by_name
from headpose_core.pipeline import HeadPosePipeline


def add_parser(subcommands: Any) -> None:
    """Add the subcommand to ``argparse``'s."""
    image = new_command(
        subcommands,
        "image",
        "photos: a JSON line each, and annotated copies",
        "headpose image photos/ --out annotated --jsonl poses.jsonl",
        run,
        pipeline_options(max_faces=100),
    )
    image.add_argument("photos", nargs="+", metavar="PHOTO", help="a file, a folder or a pattern")
    image.add_argument("--out", type=Path, metavar="DIR", help="for annotated copies")
    image.add_argument("--jsonl", type=Path, default=Path("-"), metavar="FILE", help="not stdout")
    add_pace(image, "photo")
    add_zoom(image)


def run(args: argparse.Namespace) -> int:
    """Photos: one record each, annotated copies into a folder. A bad photo does not stop it."""
    if args.out and is_stream(args.out):
        raise ValueError(f"{args.out}: expected a folder for annotated copies")
    photos = found_files(args.photos, PICTURES)[:: args.every]
    copies = named_like(photos, args.out, ".jpg") if args.out else [None] * len(photos)
    check_outputs([*photos, args.model, args.detector_model], [args.jsonl, *copies])
    pipeline = build_pipeline(args, tracker=None)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    with ExitStack() as stack:
        # Before Ctrl-C is caught: a pipe is opened when somebody reads it, which may be never.
        records = stack.enter_context(text_file(args.jsonl))
        opened = stack.pop_all()
    with stoppable() as stopped, opened:
        for photo, copy in progress(list(zip(photos, copies, strict=True)), args, " photos"):
            if stopped():
                return INTERRUPTED
            try:
                record = _photo(pipeline, photo, copy, args.zoom)
            except ImageError as error:
                say(f"error: {named(photo, error)}")
                failed += 1
            else:
                with told_by_name(args.jsonl):
                    print(line(record), file=records, flush=True)
    if failed:
        say(f"{failed} of {len(photos)} photos failed")
    return 1 if failed else 0


def _photo(
    pipeline: HeadPosePipeline, path: Path, copy: Path | None, zoom: float | None
) -> dict[str, Any]:
    """The record of one photo; its annotated copy is written first."""
    photo = read_photo(path)
    if photo.count > 1:
        say(f"{path}: has {photo.count} pictures, the first one is taken")
    frame = pipeline(photo.pixels, stamp_s=0.0)
    if copy:
        write_image(copy, annotated(photo.pixels, frame.heads, zoom), MARK)
    return {"image": str(path), "heads": frame_record(frame)["heads"]}
