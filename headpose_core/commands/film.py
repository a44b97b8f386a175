# SPDX-License-Identifier: Apache-2.0
"""Images one after another through the pipeline, to a video, records or a window."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from headpose_core.commands.file_arguments import Outputs
from headpose_core.commands.terminal import say, stoppable
from headpose_core.commands.window import Window
from headpose_core.drawing import draw_heads, readable_zoom
from headpose_core.errors import ImageError
from headpose_core.images.video import write_video
from headpose_core.messages.records import write_records
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.types import Image


def film(
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
