# SPDX-License-Identifier: Apache-2.0
"""What a data set is not used of, and why: nothing is left out without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# The evaluation of the field keeps no face with an angle beyond it (of AFLW2000: 1969 of 2000).
LARGEST_ANGLE_DEG = 99.0
OnError = Literal["skip", "refuse"]


class DataError(ValueError):
    """A labelled data set is missing, broken, or not in the expected format."""


@dataclass(frozen=True)
class Omission:
    """A face that is left out. where: its file, and the line in it if there are many.
    reason: few words, the same for all of a kind. broken: against the format, not against a rule.
    """

    where: str
    reason: str
    broken: bool

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class Report:
    """Collects omissions. on_error: "skip" takes note of what is broken, "refuse" raises."""

    def __init__(self, on_error: OnError = "skip") -> None:
        self.on_error = on_error
        self.omissions: list[Omission] = []

    def leave_out(self, where: object, reason: str) -> None:
        """A face that a rule leaves out, as the evaluation of the field does."""
        self.omissions.append(Omission(str(where), reason, broken=False))

    def broken(self, where: object, reason: str) -> None:
        """A face that cannot be used. Raises DataError when those are refused."""
        omission = Omission(str(where), reason, broken=True)
        if self.on_error == "refuse":
            raise DataError(
                f"{omission}; repair it, leave such files out with `--on-error skip`, or list all "
                "of them with `python -m training.checks.check_data`"
            )
        self.omissions.append(omission)

    def __str__(self) -> str:
        """How many of what, in one line."""
        counted = Counter((one.broken, one.reason) for one in self.omissions)
        said = [f"{count} {reason}" for (_, reason), count in sorted(counted.items())]
        return f"left out: {', '.join(said) or 'none'}"

    @property
    def skipped(self) -> Counter[str]:
        """How many faces were left out for which reason."""
        return Counter(omission.reason for omission in self.omissions)


def merged(reports: Iterable[Report]) -> Report:
    """One report of all."""
    result = Report()
    result.omissions = [omission for report in reports for omission in report.omissions]
    return result
