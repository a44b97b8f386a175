# SPDX-License-Identifier: Apache-2.0
"""The mailbox with one slot and the thread behind it."""

from __future__ import annotations

import gc
import queue
import threading
import time
import weakref

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from headpose_ros.worker import LatestWorker, still_running


def test_newest_item_wins_and_the_others_are_reported() -> None:
    begun, go_on, last, done = threading.Event(), threading.Event(), threading.Event(), []

    def work(item: int) -> None:
        begun.set()
        assert go_on.wait(60)
        done.append(item)
        if item == 3:
            last.set()

    worker = LatestWorker(work, print)
    assert not worker.put(0)
    assert begun.wait(60)  # 0 is in work, the mailbox is empty
    assert not worker.put(1)
    assert worker.put(2)
    assert worker.put(3)
    go_on.set()
    assert last.wait(60)
    assert not worker.stop(60)
    assert done == [0, 3]


def test_stop_waits_for_what_is_in_work_and_reports_what_is_not() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work(item: int) -> None:
        begun.set()
        assert go_on.wait(60)
        done.append(item)

    worker = LatestWorker(work, print)
    worker.put(0)
    assert begun.wait(60)
    worker.put(1)
    threading.Timer(0.05, go_on.set).start()
    assert worker.stop(60)
    assert done == [0]


def test_what_does_not_end_is_not_waited_for() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(item: int) -> None:
        begun.set()
        assert go_on.wait(60)

    worker = LatestWorker(work, print)
    worker.put(0)
    assert begun.wait(60)
    assert not worker.drain(0.01)
    assert worker.busy
    worker.put(1)
    assert worker.stop(0.01)  # 1 is dropped, 0 goes on
    assert worker.busy
    assert still_running()
    go_on.set()
    worker.stop(60)
    assert not worker.busy
    assert not still_running()


def test_whatever_is_raised_is_reported_and_work_goes_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    told: queue.Queue[BaseException] = queue.Queue()
    done = threading.Event()

    def work(item: BaseException | None) -> None:
        if item:
            raise item
        done.set()

    def report(error: BaseException) -> None:
        told.put(error)
        raise RuntimeError("the log is full")

    worker = LatestWorker(work, report)
    for error in (ValueError("a stamp"), MemoryError(), SystemExit()):
        worker.put(error)
        assert told.get(timeout=60) is error
    worker.put(None)
    assert done.wait(60)
    worker.stop(60)
    assert capfd.readouterr().err.count("RuntimeError: the log is full") == 3


def test_a_worker_that_ended_keeps_nobody_alive() -> None:
    """Networks take their memory with them, whenever the garbage collector comes."""

    class Owner:
        def __init__(self) -> None:
            self.worker = LatestWorker(self.work, self.work)

        def work(self, item: object) -> None:
            pass

    owner = Owner()
    alive = weakref.ref(owner)
    gc.disable()
    try:
        owner.worker.put(1)
        owner.worker.stop(10.0)
        del owner
        assert alive() is None
    finally:
        gc.enable()


def test_what_is_in_work_says_since_when() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(item: int) -> None:
        begun.set()
        assert go_on.wait(60)

    worker = LatestWorker(work, print)
    assert worker.begun_s is None
    before_s = time.monotonic()
    worker.put(0)
    assert begun.wait(60)
    assert before_s <= worker.begun_s <= time.monotonic()
    go_on.set()
    worker.stop(60)
    assert worker.begun_s is None
