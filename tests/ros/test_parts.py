# SPDX-License-Identifier: Apache-2.0
"""Parts of the node that need no graph: the mailbox, the diagnostics, the region of a face."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from headpose_core.messages import clipped_box
from headpose_ros.health import Budget, Health
from headpose_ros.worker import LatestWorker, still_running

BUDGET = Budget(budget_ms=100.0, grace_ms=1000.0)


def test_newest_item_wins_and_the_others_are_reported() -> None:
    begun, go_on, last, done = threading.Event(), threading.Event(), threading.Event(), []

    def work(item: int) -> None:
        begun.set()
        assert go_on.wait(60)
        done.append(item)
        if item == 3:
            last.set()

    worker = LatestWorker(work)
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

    worker = LatestWorker(work)
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

    worker = LatestWorker(work)
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


def process(health: Health, now_s: float, took_ms: float) -> None:
    health.image_came(now_s)
    health.image_processed(now_s, faces=1, processing_ms=took_ms, age_ms=5.0, budget_ms=100.0)


def verdict(
    health: Health, now_s: float, state: str = "active", *, listening: bool = True
) -> tuple[bytes, str]:
    status = health.status(
        now_s, name="n", state=state, listening=listening, budget=BUDGET, facts={}
    )
    return status.level, status.message


def test_slow_images_warn_first_and_are_an_error_when_it_lasts() -> None:
    health = Health()
    health.activated(0.0)
    process(health, 0.0, 50.0)
    assert verdict(health, 0.1) == (b"\x00", "running")
    process(health, 0.2, 150.0)
    assert verdict(health, 0.3) == (b"\x01", "images take 150 ms, the budget is 100 ms")
    process(health, 1.1, 180.0)
    assert verdict(health, 1.3)[0] == b"\x02"
    process(health, 1.4, 50.0)
    assert verdict(health, 1.5) == (b"\x00", "running")


def test_silence_warns_only_while_active() -> None:
    health = Health()
    health.activated(10.0)
    assert verdict(health, 11.0)[0] == b"\x00"
    assert verdict(health, 14.0) == (b"\x01", "no image for 4 s")
    assert verdict(health, 14.0, state="inactive") == (b"\x00", "inactive")


def test_disabled_is_no_fault() -> None:
    health = Health()
    health.activated(0.0)
    assert verdict(health, 10.0, listening=False) == (b"\x00", "disabled")


def test_another_device_and_publishers_that_are_not_heard_warn_until_it_is_over() -> None:
    health = Health()
    health.activated(0.0)
    process(health, 0.0, 50.0)
    health.fell_back("the device cuda failed: the CPU has taken over")
    assert verdict(health, 0.1) == (b"\x01", "the device cuda failed: the CPU has taken over")
    health.configured()
    health.qos_mismatch("nothing comes from /camera")
    assert verdict(health, 0.1) == (b"\x01", "nothing comes from /camera")
    health.qos_mismatch("")
    assert verdict(health, 0.1) == (b"\x00", "running")
    health.broke("cannot be activated")
    assert verdict(health, 0.1, state="inactive")[0] == b"\x02"
    health.activated(0.2)
    assert verdict(health, 0.3)[0] == b"\x00"


def test_failure_to_configure_is_an_error_until_it_works() -> None:
    health = Health()
    health.broke("cannot be configured: no such file")
    assert verdict(health, 0.0, state="unconfigured")[0] == b"\x02"
    health.configured()
    assert verdict(health, 0.0, state="inactive")[0] == b"\x00"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10.2, 20.6, 30.4, 50.0), (10, 21, 30, 50)),
        ((-5.0, -7.0, 20.0, 30.0), (0, 0, 20, 30)),
        ((90.0, 40.0, 130.0, 90.0), (90, 40, 100, 50)),
        ((150.0, 60.0, 180.0, 90.0), (100, 50, 100, 50)),
    ],
)
def test_box_is_clipped_to_the_image(box: tuple[float, ...], expected: tuple[int, ...]) -> None:
    assert clipped_box(np.array(box, np.float32), (100, 50)) == expected
