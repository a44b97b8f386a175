# SPDX-License-Identifier: Apache-2.0
"""Images one after another through the pipeline, to a video, records or a window."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from contextlib import ExitStack

from headpose_core.commands.copies import MARK, annotated, fitted
from headpose_core.commands.file_arguments import Outputs
from headpose_core.commands.terminal import say, stoppable
from headpose_core.commands.window import Window
from headpose_core.errors import ImageError
from headpose_core.images.video_writer import VideoWriter, write_video
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
    """Images with their stamps through the pipeline: how many came, and whether Ctrl-C did.

    fps: images per second, nominal; what is written keeps the stamps.
    """
    came = done = heads = 0
    video: VideoWriter | None = None
    size: tuple[int, int] | None = None
    with ExitStack() as stack:
        # Before Ctrl-C is caught: a pipe is opened when somebody reads it, which may be never.
        if files.out:
            video = stack.enter_context(write_video(files.out, fps / args.every, MARK))
        record = stack.enter_context(write_records(files.jsonl, files.csv))
        opened = stack.pop_all()
    with stoppable() as stopped, opened:
        for stamp, pixels in images:
            if stopped() or (window and window.is_closed):
                break
            came += 1
            if (came - 1) % args.every:
                continue
            frame = pipeline(pixels, stamp)
            record(frame)
            done, heads = done + 1, heads + len(frame.heads)
            if video or window:
                drawn = annotated(pixels, frame.heads, args.zoom)
                if video:
                    size = size or (drawn.shape[1], drawn.shape[0])
                    video.write(fitted(drawn, size), stamp)
                if window:
                    window.show(drawn)
        interrupted = stopped()
        if not came and not interrupted:
            raise ImageError("expected images, none can be decoded")
    say(f"{done} images, {heads} heads" + (f" -> {files.out}" if files.out else ""))
    return came, interrupted
