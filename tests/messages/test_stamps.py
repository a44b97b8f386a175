# SPDX-License-Identifier: Apache-2.0
"""Which time counts for images whose stamps say nothing."""

from __future__ import annotations

import pytest

from headpose_core.messages.stamps import ImageClock

T0, STEP = 1.7e9, 0.1
CAME = [T0 + STEP * i for i in range(6)]


def times(stamps: list[float], came: list[float], *, ahead: bool = False) -> list[float]:
    """The times of images; ahead: the first two are known beforehand."""
    clock = ImageClock(list(zip(stamps, came, strict=True))[:2] if ahead else ())
    return [clock.time(*pair) for pair in zip(stamps, came, strict=True)]


@pytest.mark.parametrize("ahead", [False, True])
def test_good_stamps_stay_whatever_the_other_clock_says(ahead: bool) -> None:
    for shift in (0.0, -0.02, 3600.0, -86400.0 * 300):
        stamps = [came + shift for came in CAME]
        assert times(stamps, CAME, ahead=ahead) == stamps


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("bad", [[0.0] * 6, [-5.0] * 6, [12.5 + 0.1 * i for i in range(6)]])
def test_zero_and_far_stamps_give_way_to_the_arrival(bad: list[float], ahead: bool) -> None:
    assert times(bad, CAME, ahead=ahead) == CAME
    assert times([came + 2e8 for came in CAME], CAME, ahead=ahead) == CAME


def test_stamps_that_stand_still_give_way() -> None:
    stuck = [T0 - 7.0] * 6
    assert times(stuck, CAME, ahead=True) == CAME
    # Not known before the second image: time goes on from the stamp.
    expected = [T0 - 7.0 + STEP * i for i in range(6)]
    assert times(stuck, CAME) == pytest.approx(expected)


def test_one_bad_stamp_is_no_jump_when_clocks_differ() -> None:
    stamps = [came + 50.0 for came in CAME]
    for bad in (0.0, stamps[2], 12.0):
        found = times([*stamps[:3], bad, *stamps[4:]], CAME)
        assert found == pytest.approx(stamps, abs=1e-6)


@pytest.mark.parametrize("ahead", [False, True])
def test_arrivals_that_say_nothing_are_not_used(ahead: bool) -> None:
    assert times(CAME, [0.0] * 6, ahead=ahead) == CAME
    assert times(CAME, [5.0] * 6, ahead=True) == CAME
    assert times([0.0] * 6, [T0] * 6, ahead=ahead) == [T0] * 6
    assert times([0.0] * 6, [0.0] * 6, ahead=ahead) == [0.0] * 6
    twice = [came for came in CAME[:3] for _ in range(2)]
    assert times([0.0] * 6, twice, ahead=ahead) == twice


def test_each_problem_is_named_and_counted() -> None:
    clock = ImageClock()
    said = []
    for stamp, came in zip([T0, T0, T0 + 1, 0.0, 77.0, T0 + 2], CAME, strict=True):
        clock.time(stamp, came)
        said.append(clock.problem)
    assert said == ["", "the same as before", "", "zero", "years off", ""]
    assert clock.problems == {"the same as before": 1, "zero": 1, "years off": 1}
