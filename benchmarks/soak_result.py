# SPDX-License-Identifier: Apache-2.0
"""What a soak does, what came of it, and whether that will do."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.processes import Usage

SAMPLES = 10  # of memory, a second apart, whose median counts
_MOST_GROWTH = 0.03


@dataclass(frozen=True)
class Settings:
    """paced: each image waits for the answer to the one before, on a machine that has other things
    to do. settle_s: after so long memory counts. model: of the node; "" is the one shipped."""

    seconds: float = 1200.0
    settle_s: float = 60.0
    rate_hz: float = 30.0
    paced: bool = False
    model: str = ""

    def __post_init__(self) -> None:
        if not SAMPLES <= self.settle_s <= self.seconds - SAMPLES:
            raise ValueError(
                f"expected {SAMPLES} s or more until the node has settled and after that, got "
                f"{self.settle_s:g} of {self.seconds:g} s"
            )


@dataclass(frozen=True)
class Result:
    """Counts are of images. lost: sent, but never came to the node. ids: how many images each face
    was in. settled, end: medians of the samples. problems: why it failed."""

    settings: Settings
    sent: int
    lost: int
    dropped: int
    failed: int
    answered: int
    without_face: int
    ids: dict[str, int]
    settled: Usage
    end: Usage
    exit_status: int

    @property
    def growth(self) -> float:
        return self.end.memory_mb / self.settled.memory_mb - 1

    @property
    def problems(self) -> list[str]:
        """Why the run did not pass."""
        checks = {
            f"memory changed by more than {_MOST_GROWTH:.0%}": abs(self.growth) > _MOST_GROWTH,
            "images were lost on the way to the node": self.lost,
            "the node did not answer each image": self.answered != self.sent - self.lost,
            "the face did not keep one id": len(self.ids) != 1,
            f"the node ended with status {self.exit_status}": self.exit_status,
        }
        return [problem for problem, found in checks.items() if found]

    def line(self) -> str:
        """The verdict."""
        settings = self.settings
        facts = [
            f"{settings.seconds:.0f} s at {settings.rate_hz:g} Hz{' paced' * settings.paced}",
            f"{self.sent} images sent, {self.lost} lost on the way, {self.dropped} dropped, "
            f"{self.failed} failed, {self.answered} answered, {self.without_face} without a face",
            f"ids {self.ids}",
            f"memory {self.settled.memory_mb:.1f} -> {self.end.memory_mb:.1f} MB "
            f"({self.growth:+.1%})",
            f"threads {self.settled.threads} -> {self.end.threads}",
            f"open files {self.settled.open_files} -> {self.end.open_files}",
        ]
        verdict = f"FAILED: {'; '.join(self.problems)}" if self.problems else "passed"
        return f"soak {verdict} ({'; '.join(facts)})"
