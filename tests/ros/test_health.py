# SPDX-License-Identifier: Apache-2.0
"""What the diagnostics say about what happened to the images."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from diagnostic_msgs.msg import DiagnosticStatus

from headpose_ros.calibration import Problem
from headpose_ros.health import Budget, Health

BUDGET = Budget(budget_ms=100.0, grace_ms=1000.0)


def process(health: Health, now_s: float, took_ms: float) -> None:
    health.image_came(now_s)
    health.image_processed(now_s, faces=1, processing_ms=took_ms, age_ms=5.0, budget_ms=100.0)


def status(
    health: Health,
    now_s: float,
    state: str = "active",
    *,
    listening: bool = True,
    begun_s: float | None = None,
) -> DiagnosticStatus:
    return health.status(
        now_s,
        name="n",
        state=state,
        listening=listening,
        begun_s=begun_s,
        budget=BUDGET,
        facts={},
    )


def verdict(*arguments: Any, **options: Any) -> tuple[bytes, str]:
    """Level and message of such a ``status``."""
    said = status(*arguments, **options)
    return said.level, said.message


def delay(*arguments: Any, **options: Any) -> tuple[str, str]:
    """What such a ``status`` says of the processing time."""
    values = {pair.key: pair.value for pair in status(*arguments, **options).values}
    return (
        values["is_processing_time_ms_in_expected_range"],
        values["consecutive_processing_delay_ms"],
    )


def test_slow_images_warn_first_and_are_an_error_when_it_lasts() -> None:
    health = Health()
    health.activated(0.0)
    process(health, 0.0, 50.0)
    assert verdict(health, 0.1) == (b"\x00", "running")
    process(health, 0.2, 150.0)
    assert verdict(health, 0.3) == (b"\x01", "images take 150 ms, the budget is 100 ms")
    process(health, 1.1, 180.0)
    assert verdict(health, 1.3)[0] == b"\x01"
    process(health, 1.3, 180.0)
    assert verdict(health, 1.4) == (b"\x02", "images take 180 ms, the budget is 100 ms")
    assert delay(health, 1.4) == ("False", "1150")
    process(health, 1.5, 50.0)
    assert verdict(health, 1.6) == (b"\x00", "running")
    assert delay(health, 1.6) == ("True", "0")


def test_an_image_in_work_too_long_warns_then_is_an_error() -> None:
    """Whether or not more images come: the node hangs."""
    health = Health()
    health.activated(0.0)
    process(health, 0.0, 50.0)
    health.image_came(0.5)
    assert verdict(health, 0.55, begun_s=0.5) == (b"\x00", "running")
    message = "an image has taken 300 ms so far, the budget is 100 ms"
    assert verdict(health, 0.8, begun_s=0.5) == (b"\x01", message)
    assert delay(health, 0.8, begun_s=0.5) == ("False", "200")
    assert verdict(health, 9.5, begun_s=0.5)[0] == b"\x02"
    health.image_came(9.6)
    assert verdict(health, 9.7, begun_s=0.5)[0] == b"\x02"
    assert verdict(health, 9.7, "inactive", begun_s=0.5) == (b"\x00", "inactive")


def test_silence_after_a_slow_image_is_said_as_silence() -> None:
    health = Health()
    health.activated(0.0)
    process(health, 0.2, 150.0)
    assert verdict(health, 1.9)[0] == b"\x01"
    assert delay(health, 1.9) == ("False", "50")
    assert verdict(health, 3.2) == (b"\x01", "no image for 3 s")
    process(health, 9.0, 5000.0)
    assert verdict(health, 9.1)[0] == b"\x02"
    assert verdict(health, 13.0) == (b"\x01", "no image for 4 s")


def test_silence_after_an_image_that_failed_is_said_too() -> None:
    health = Health()
    health.activated(0.0)
    health.image_came(1.0)
    health.image_failed("image of no size")
    assert verdict(health, 1.1) == (b"\x01", "image of no size")
    message = "no image for 4 s; the last one: image of no size"
    assert verdict(health, 5.0) == (b"\x01", message)


def test_silence_warns_only_while_active() -> None:
    health = Health()
    health.activated(10.0)
    assert verdict(health, 11.0)[0] == b"\x00"
    assert verdict(health, 14.0) == (b"\x01", "no image for 4 s")
    assert verdict(health, 14.0, "inactive") == (b"\x00", "inactive")


def test_disabled_is_no_fault() -> None:
    health = Health()
    health.activated(0.0)
    assert verdict(health, 10.0, listening=False) == (b"\x00", "disabled")


def test_another_device_and_unheard_publishers_warn_until_over() -> None:
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
    assert verdict(health, 0.1, "inactive")[0] == b"\x02"
    health.activated(0.2)
    assert verdict(health, 0.3)[0] == b"\x00"


def test_failure_to_configure_is_an_error_until_it_works() -> None:
    health = Health()
    health.broke("cannot be configured: no such file")
    assert verdict(health, 0.0, "unconfigured")[0] == b"\x02"
    health.configured()
    assert verdict(health, 0.0, "inactive")[0] == b"\x00"


def test_why_a_camera_is_not_calibrated_is_said_once() -> None:
    problem = Problem()
    said = [problem.is_news(why, now_s) for now_s, why in enumerate(["none", "none", "none"])]
    assert said == [False, True, False]
    assert [problem.is_news(why, 9.0) for why in ("", "none", "zero")] == [False] * 3
    assert [problem.is_news("zero", now_s) for now_s in (9.5, 10.1, 11.2)] == [False, True, False]
