# SPDX-License-Identifier: Apache-2.0
"""``headpose bag``: one bag here, several at once in processes of their own."""

from __future__ import annotations

import argparse
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from headpose_core.commands.arguments import (
    add_pace,
    add_record_files,
    new_command,
    number,
    require,
)
from headpose_core.commands.file_arguments import outputs
from headpose_core.commands.pipeline_arguments import build_pipeline, pipeline_options
from headpose_core.commands.terminal import INTERRUPTED, progress, say, stoppable
from headpose_core.errors import BagError, DeviceError, ImageError, ModelError
from headpose_core.faces.tracking import Tracker

if TYPE_CHECKING:
    from headpose_core.bags.annotate import BagResult, BagTask

_REASONS_SHOWN = 3


def add_parser(subcommands: Any) -> None:
    """Add the subcommand to ``argparse``'s."""
    bag = new_command(
        subcommands,
        "bag",
        "ROS 2 bags: what the node would have published, as another bag",
        "headpose bag drive/ --out drive_poses.mcap --copy",
        run,
        pipeline_options(),
    )
    add = bag.add_argument
    add("bags", nargs="+", type=Path, metavar="IN", help="folder, .mcap or .db3 file")
    add("--image-topic", metavar="TOPIC", help="raw or compressed images; found when there is one")
    add("--camera-info", metavar="TOPIC", help="default: the one beside the images")
    add("--out", type=Path, metavar="OUT.mcap", help="or a folder, for several bags")
    add("--copy", action="store_true", help="the bag's own messages go into OUT too")
    add("--debug-images", action="store_true", help="annotated images go into OUT too")
    jobs = number(1, 64, int)
    add("--jobs", type=jobs, default=1, metavar="N", help="bags at the same time")
    add_record_files(bag)
    add_pace(bag, "image")


def run(args: argparse.Namespace) -> int:
    """Bags: poses into other bags, JSON lines or tables. A bad bag does not stop the others."""
    for package in ("rosbags", "mcap"):
        require(package, "bags")
    tasks = _tasks(args)
    with stoppable() as stopped:
        results = _in_processes if args.jobs > 1 and len(tasks) > 1 else _one_by_one
        ended = [_tell(task, result) for task, result in results(tasks, args, stopped)]
        if stopped():
            return INTERRUPTED
    return 0 if all(ended) and len(ended) == len(tasks) else 1


def _tasks(args: argparse.Namespace) -> list[BagTask]:
    from headpose_core.bags.annotate import BagTask

    return [
        BagTask(
            source,
            files.out,
            files.jsonl,
            files.csv,
            image_topic=args.image_topic,
            camera_info=args.camera_info,
            copy=args.copy,
            debug_images=args.debug_images,
            every=args.every,
        )
        for source, files in zip(args.bags, outputs(args, args.bags, ".mcap"), strict=True)
    ]


def _one_by_one(
    tasks: list[BagTask], args: argparse.Namespace, stopped: Callable[[], bool]
) -> Iterator[tuple[BagTask, BagResult | Exception]]:
    for task in tasks:
        if stopped():
            return
        yield task, _work(task, args, stopped)


def _in_processes(
    tasks: list[BagTask], args: argparse.Namespace, stopped: Callable[[], bool]
) -> Iterator[tuple[BagTask, BagResult | Exception]]:
    """As they come. Ctrl-C reaches this process alone, which tells the others to end."""
    context = multiprocessing.get_context("spawn")
    args.quiet = True  # bars of several processes overwrite each other
    ignore = (signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all processes
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(args.jobs, context, signal.signal, ignore) as pool,
    ):
        ending = manager.Event()
        futures: dict[Future[BagResult | Exception], BagTask] = {
            pool.submit(_work_until, ending, task, args): task for task in tasks
        }
        left = set(futures)
        while left:
            done, left = wait(left, timeout=0.2, return_when=FIRST_COMPLETED)
            yield from ((futures[future], future.result()) for future in done)
            if stopped() and not ending.is_set():
                ending.set()
                left -= {future for future in left if future.cancel()}


def _work_until(ending: Event, task: BagTask, args: argparse.Namespace) -> BagResult | Exception:
    return _work(task, args, ending.is_set)


def _work(
    task: BagTask, args: argparse.Namespace, stopped: Callable[[], bool]
) -> BagResult | Exception:
    from headpose_core.bags.annotate import annotate

    try:
        pipeline = build_pipeline(args, Tracker())
        return annotate(
            task,
            pipeline,
            stop=stopped,
            progress=lambda items, count: progress(items, args, " messages", count),
        )
    except (BagError, DeviceError, ImageError, ModelError, OSError) as error:
        return error


def _tell(task: BagTask, result: BagResult | Exception) -> bool:
    """Say what became of a bag. False when it failed."""
    if isinstance(result, Exception):
        say(f"error: {result}")
        return False
    for note in result.notes:
        say(f"warning: {task.source}: {note}")
    skipped = sum(result.skipped.values())
    if skipped:
        say(f"warning: {task.source}: {skipped} messages could not be used:")
        for reason, count in result.skipped.most_common(_REASONS_SHOWN):
            say(f"  {count} times: {reason}")
    for calibration in result.calibrations:
        say(f"{task.source}: calibration from {calibration}")
    outputs = ", ".join(str(path) for path in (task.out, task.jsonl, task.csv) if path)
    end = ", interrupted" if result.interrupted else ""
    say(f"{task.source}: {result.images} images, {result.heads} heads{end} -> {outputs}")
    return result.images > 0
