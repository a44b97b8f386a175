# SPDX-License-Identifier: Apache-2.0
"""A thread behind a mailbox with one slot, so that work never queues."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class LatestWorker(Generic[Item]):
    """Runs ``work(item)`` for the newest item in a thread of its own, one at a time.

    An item that has not been begun when the next one comes is dropped: results are of the present
    or not at all. ``work`` must not raise.
    """

    def __init__(self, work: Callable[[Item], None]) -> None:
        self._work = work
        self._slot: list[Item] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="headpose-worker", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Hand over the newest item. Returns whether it took the place of one not yet begun."""
        with self._changed:
            dropped = bool(self._slot)
            self._slot[:] = [item]
            self._changed.notify()
        return dropped

    def stop(self) -> bool:
        """Wait for the item in work and end. Returns whether an item not yet begun is dropped."""
        with self._changed:
            dropped = bool(self._slot)
            self._slot.clear()
            self._stopping = True
            self._changed.notify()
        self._thread.join()
        return dropped

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._slot or self._stopping)
                if self._stopping:
                    return
                item = self._slot.pop()
            self._work(item)
