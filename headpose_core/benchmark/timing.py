# SPDX-License-Identifier: Apache-2.0
"""Fair timing on a machine that does other things too."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
_CALLS_A_TURN = 3


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call. best: the shortest, median: the middle one of ``calls``."""

    best: float
    median: float
    calls: int


def interleaved(work: Mapping[Key, Callable[[], object]], seconds: float) -> dict[Key, Timing]:
    """Time functions in turns for about so many seconds in all, three turns at least.

    In turns, so that a change of clock or load meets all of them alike. A turn is three calls: the
    first finds the caches full of what the others used. The very first of each is a warm-up and
    does not count. The quickest call is the one least disturbed by others.
    """
    for run in work.values():
        run()
    taken: dict[Key, list[float]] = {key: [] for key in work}
    end = time.perf_counter() + seconds
    turns = 0
    while turns < 3 or time.perf_counter() < end:
        turns += 1
        for key, run in work.items():
            for _ in range(_CALLS_A_TURN):
                start = time.perf_counter()
                run()
                taken[key].append((time.perf_counter() - start) * 1e3)
    return {
        key: Timing(min(times), sorted(times)[len(times) // 2], len(times))
        for key, times in taken.items()
    }
