# SPDX-License-Identifier: Apache-2.0
"""The time of images for tracker and filter: their stamps, or when they came.

Drivers leave stamps at zero, repeat the last one when they hang, or count from when the camera
was switched on. With such stamps nothing moves: a face that left keeps its id, nothing is
filtered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_FAR_S = 365.25 * 86400  # from the arrival: no delay, and no clock that somebody set


class ImageClock:
    """Says the time of the images of one stream, one after the other.

    coming: stamps and arrivals of the first two images, where they are known beforehand.
    problem: what is wrong with the last stamp, "" for nothing. problems: how many images had it.
    """

    def __init__(self, coming: Sequence[tuple[float, float]] = ()) -> None:
        self.problem = ""
        self.problems = Counter[str]()
        self._stamp_s: float | None = None
        self._arrival_s: float | None = None
        if len(coming) > 1:
            (stamp_s, arrival_s), (next_stamp_s, next_arrival_s) = coming[:2]
            self._stamp_s = stamp_s if stamp_s == next_stamp_s else None
            self._arrival_s = arrival_s if arrival_s == next_arrival_s else None
        self._time_s: float | None = None
        self._ahead_s = 0.0  # the stamps' clock of the arrivals' one

    def time(self, stamp_s: float, arrival_s: float) -> float:
        """The time in seconds of an image with this stamp that came at ``arrival_s``.

        Where the stamp says nothing it is the arrival, on the clock of the stamps before.
        """
        self.problem = self._problem(stamp_s, arrival_s)
        time_s = stamp_s
        if not self.problem:
            self._ahead_s = stamp_s - arrival_s
        else:
            self.problems[self.problem] += 1
            if self._time_s is None or self._came_later(arrival_s):
                time_s = arrival_s + self._ahead_s
            else:
                time_s = self._time_s
        self._stamp_s, self._arrival_s, self._time_s = stamp_s, arrival_s, time_s
        return time_s

    def notes(self, topic: str) -> list[str]:
        """What was wrong with the stamps of a topic in a bag, as sentences."""
        return [
            f"{topic}: the stamps of {count} images are {problem}, "
            "the time of recording serves instead"
            for problem, count in self.problems.items()
        ]

    def _problem(self, stamp_s: float, arrival_s: float) -> str:
        if stamp_s <= 0:
            return "zero"
        if stamp_s == self._stamp_s:
            return "the same as before"
        is_far = abs(stamp_s - arrival_s) > _FAR_S
        return "years off" if is_far and self._came_later(arrival_s) else ""

    def _came_later(self, arrival_s: float) -> bool:
        return arrival_s > 0 and arrival_s != self._arrival_s
