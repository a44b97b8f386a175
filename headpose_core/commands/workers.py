# SPDX-License-Identifier: Apache-2.0
"""Pieces of work in processes of their own: one that is killed takes no other with it."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from threading import Event
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK_AGAIN_S = 0.2  # for Ctrl-C


class WorkerError(RuntimeError):
    """A process ended without a result."""


@dataclass(frozen=True)
class _Running(Generic[Item]):
    item: Item
    process: Any
    folder: tempfile.TemporaryDirectory[str]  # for its temporary files, which go when it ends


def in_processes(
    work: Callable[[Item, Callable[[], bool]], Result],
    items: Iterable[Item],
    count: int,
    stopped: Callable[[], bool],
    clean_up: Callable[[Item, int], None],
) -> Iterator[tuple[Item, Result | WorkerError]]:
    """The items with what ``work`` makes of them, as they come, ``count`` of them at a time.

    work: gets an item and a function that tells whether to end early; both have to be what can be
    sent to another process. When ``stopped`` says so, those that run are told to end and no other
    begins. clean_up: gets the item and the number of a process that ended without a result.
    """
    context = multiprocessing.get_context("spawn")
    waiting, running = deque(items), dict[Any, _Running[Item]]()
    told = False
    try:
        while running or (waiting and not told):
            if stopped() and not told:
                told = True
                for one in running.values():
                    one.process.terminate()  # a request, see _run
            while waiting and len(running) < count and not told:
                receiving, one = _begun(context, work, waiting.popleft())
                running[receiving] = one
            for receiving in wait(list(running), _LOOK_AGAIN_S):
                one = running.pop(receiving)
                result = _ended(one, receiving, clean_up)
                if result is not None:
                    yield one.item, result
                elif not told:
                    yield one.item, WorkerError(_how_it_ended(one.process.exitcode))
    finally:
        for receiving, one in running.items():  # somebody gave up
            one.process.kill()
            _ended(one, receiving, clean_up)


def _begun(context: Any, work: Any, item: Item) -> tuple[Any, _Running[Item]]:
    """The end of a pipe that the result will come from, and the process."""
    folder = tempfile.TemporaryDirectory()
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, item, sending, folder.name))
    process.start()
    sending.close()  # so that the end of the process is the end of the pipe
    return receiving, _Running(item, process, folder)


def _ended(one: _Running[Item], receiving: Any, clean_up: Callable[[Item, int], None]) -> Any:
    """What a process sent, once it has ended; None for nothing."""
    try:
        result = receiving.recv()
    except EOFError:
        result = None
    one.process.join()
    receiving.close()
    one.folder.cleanup()
    if result is None:
        clean_up(one.item, one.process.pid)
    return result


def _how_it_ended(exitcode: int) -> str:
    names = {number.value: number.name for number in signal.Signals}
    how = f"status {exitcode}" if exitcode >= 0 else names.get(-exitcode, f"signal {-exitcode}")
    question = ": is there enough memory?" if exitcode == -signal.SIGKILL else ""
    return f"the process that worked on it ended with {how}{question}"


def _run(
    work: Callable[[Item, Callable[[], bool]], Result],
    item: Item,
    sending: Connection,
    folder: str,
) -> None:
    """In the process. Ctrl-C reaches all processes of a terminal; the first one says who ends."""
    asked = Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: asked.set())
    tempfile.tempdir = folder
    sending.send(work(item, asked.is_set))
