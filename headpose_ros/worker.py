# SPDX-License-Identifier: Apache-2.0
"""A thread behind a mailbox with one slot, so that work never queues."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
_NAME = "headpose-worker"


class LatestWorker(Generic[Item]):
    """Runs ``work(item)`` for the newest item in a thread of its own, one at a time.

    An item that has not been begun when the next one comes is dropped: results are of the present
    or not at all. What ``work`` raises goes to ``on_error``, in that thread, which then goes on.
    """

    def __init__(
        self, work: Callable[[Item], None], on_error: Callable[[BaseException], None]
    ) -> None:
        self._work, self._on_error = work, on_error
        self._slot: list[Item] = []
        self._changed = threading.Condition()
        self._begun_s: float | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)
        self._thread.start()

    @property
    def begun_s(self) -> float | None:
        """When the item in work was begun, in seconds of the monotonic clock; None: none is."""
        return self._begun_s

    @property
    def busy(self) -> bool:
        """Whether an item is in work."""
        return self._begun_s is not None

    def put(self, item: Item) -> bool:
        """Hand over the newest item. Returns whether it took the place of one not yet begun."""
        with self._changed:
            dropped = bool(self._slot)
            self._slot[:] = [item]
            self._changed.notify_all()
        return dropped

    def drain(self, patience_s: float) -> bool:
        """Drop the item not yet begun; wait for the one in work, at most ``patience_s`` seconds.

        Returns whether one was dropped; ``busy`` tells whether the wait was in vain.
        """
        with self._changed:
            dropped = bool(self._slot)
            self._slot.clear()
            self._changed.wait_for(lambda: not self.busy, patience_s)
        return dropped

    def stop(self, patience_s: float) -> bool:
        """``drain`` and end; with an item in work that takes longer, the thread ends after it."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        dropped = self.drain(patience_s)
        if not self.busy:
            self._thread.join()
        return dropped

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._slot or self._stopping)
                if self._stopping:
                    # What they belong to holds this worker: else it would live, with its networks,
                    # until the garbage collector comes.
                    del self._work, self._on_error
                    return
                item = self._slot.pop()
                self._begun_s = time.monotonic()
            self._do(item)
            with self._changed:
                self._begun_s = None
                self._changed.notify_all()

    def _do(self, item: Item) -> None:
        """Nothing gets out of here: a thread that ends would leave a mailbox that nobody reads."""
        try:
            self._work(item)
        except BaseException as error:  # SystemExit, too, ends a thread, and without a word
            try:
                self._on_error(error)
            except BaseException:
                traceback.print_exc()  # there is nobody else to tell


def still_running() -> bool:
    """Whether a worker's thread is left, because an item took longer than it was waited for."""
    return any(thread.name == _NAME for thread in threading.enumerate())
