# SPDX-License-Identifier: Apache-2.0
"""Words, progress and interruption of a command. Standard output is for records alone."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it


def say(message: str) -> None:
    """Words for people go to standard error; standard output is for records."""
    shown = message.encode(errors="backslashreplace").decode()  # names need not be UTF-8
    print(f"headpose: {shown}", file=sys.stderr)


def error_in_words(error: BaseException) -> str:
    """What went wrong, for people: of a file its name and the reason, without a number."""
    if isinstance(error, BrokenPipeError) and not error.filename:
        return "who read the output has gone"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def named(path: Path, error: Exception) -> str:
    """The words of an error with the name of the file, if they do not begin with it."""
    return str(error) if str(error).startswith(str(path)) else f"{path}: {error}"


def progress(
    items: Iterable[Any], args: argparse.Namespace, unit: str, total: int | None = None
) -> Iterable[Any]:
    """The items, with a bar on a terminal unless --quiet."""
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(items, total=total, unit=unit, disable=True if args.quiet else None)
    return bar


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """A function that tells whether Ctrl-C, or a request to end, came within the block.

    So that files can be finished. The second one ends the process as usual.
    """
    asked = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        say("stopping; once more to give up")
        for number in signals:
            signal.signal(number, old[number])

    old = {number: signal.signal(number, ask) for number in signals}
    try:
        yield asked.is_set
    finally:
        for number in signals:
            signal.signal(number, old[number])
