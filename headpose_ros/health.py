# SPDX-License-Identifier: Apache-2.0
"""What the node tells about itself on /diagnostics, once a second."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from headpose_core.errors import DeviceError, ImageError, ModelError

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
_QUIET_S = 2.0  # an active node that hears nothing for so long is worth a warning


@dataclass(frozen=True)
class Budget:
    """budget_ms: for one image. grace_ms: how long that may be exceeded before it is an error."""

    budget_ms: float
    grace_ms: float


@dataclass(frozen=True)
class _Record:
    """Counted since the node was started. Every image that comes in ends as processed, dropped
    (a newer one came), rate_limited or failed; those that are lost on the way never came in.

    Times are seconds of a steady clock; `late_since` is when processing began to take too long,
    `last_done` when the last image was processed, `last_image` when the newest one came, or when
    the node was activated. `broken` says why the node does not work, `degraded` why it does not
    work as it was asked to.
    """

    images_in: int = 0
    processed: int = 0
    dropped: int = 0
    rate_limited: int = 0
    failed: int = 0
    faces: int = 0
    processing_ms: float = 0.0
    image_age_ms: float = 0.0
    late_since: float | None = None
    last_done: float = 0.0
    last_image: float = 0.0
    last_failed: bool = False
    last_error: str = ""
    broken: str = ""
    degraded: str = ""
    qos_mismatch: str = ""


class Health:
    """Counts what happens to the images. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._record = _Record()

    def configured(self) -> None:
        """It works, as it was asked to."""
        self._update(broken="", degraded="")

    def activated(self, now_s: float) -> None:
        self._update(
            last_image=now_s, late_since=None, last_failed=False, qos_mismatch="", broken=""
        )

    def broke(self, error: str) -> None:
        """The node cannot be configured or activated, or stopped by itself."""
        self._update(broken=error, last_error=error)

    def fell_back(self, error: str) -> None:
        """The node goes on, on another device."""
        self._update(degraded=error, last_error=error)

    def qos_mismatch(self, problem: str) -> None:
        """There is a publisher that is not heard; "" when there is none any more."""
        self._update(qos_mismatch=problem, **({"last_error": problem} if problem else {}))

    def quiet(self, now_s: float, begun_s: float | None) -> bool:
        """Whether no image comes any more and none is in work, which was begun at `begun_s`."""
        with self._lock:
            return begun_s is None and now_s - self._record.last_image > _QUIET_S

    def image_came(self, now_s: float) -> None:
        self._count("images_in", last_image=now_s)

    def image_dropped(self) -> None:
        """For a newer one, or because the node stopped."""
        self._count("dropped")

    def image_rate_limited(self) -> None:
        self._count("rate_limited")

    def image_failed(self, error: str) -> None:
        self._count("failed", last_failed=True, last_error=error)

    def image_processed(
        self, now_s: float, *, faces: int, processing_ms: float, age_ms: float, budget_ms: float
    ) -> None:
        with self._lock:
            old = self._record
            self._record = replace(
                old,
                processed=old.processed + 1,
                faces=faces,
                processing_ms=processing_ms,
                image_age_ms=age_ms,
                late_since=_late_since(old.late_since, now_s, processing_ms, budget_ms),
                last_done=now_s,
                last_failed=False,
            )

    def status(
        self,
        now_s: float,
        *,
        name: str,
        state: str,
        listening: bool,
        begun_s: float | None,
        budget: Budget,
        facts: dict[str, Any],
    ) -> DiagnosticStatus:
        """The message. `state`: of the life cycle. `begun_s`: when the image in work was begun,
        None when none is. `facts`: further keys, from the node."""
        with self._lock:
            record = self._record
        delay = _delay(record, now_s, begun_s, budget)
        level, message = _verdict(record, now_s, state, listening, delay, budget)
        values = {
            "state": state,
            "processing_time_ms": f"{record.processing_ms:.2f}",
            "is_processing_time_ms_in_expected_range": not delay.why,
            "consecutive_processing_delay_ms": f"{delay.late_ms:.0f}",
            "image_age_ms": f"{record.image_age_ms:.2f}",
            "images_in": record.images_in,
            "images_processed": record.processed,
            "images_dropped": record.dropped,
            "images_rate_limited": record.rate_limited,
            "images_failed": record.failed,
            "faces": record.faces,
            **facts,
            "qos_mismatch": record.qos_mismatch,
            "last_error": record.last_error,
        }
        keys = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        return DiagnosticStatus(level=level, name=name, message=message, values=keys)

    def _count(self, what: str, **changes: Any) -> None:
        with self._lock:
            count = getattr(self._record, what) + 1
            self._record = replace(self._record, **{what: count}, **changes)

    def _update(self, **changes: Any) -> None:
        with self._lock:
            self._record = replace(self._record, **changes)


@dataclass(frozen=True)
class _Delay:
    """why: what takes too long, "" when nothing does. late_ms: for how long it has been so.
    in_work: whether it is the image in work, and not the one before."""

    why: str = ""
    late_ms: float = 0.0
    in_work: bool = False


def _delay(record: _Record, now_s: float, begun_s: float | None, budget: Budget) -> _Delay:
    """How late the image in work is, or else how late the last one was when it was done: silence
    after a slow image makes it no slower."""
    limit = f"the budget is {budget.budget_ms:.0f} ms"
    so_far_ms = 0.0 if begun_s is None else (now_s - begun_s) * 1e3
    since_s = _late_since(record.late_since, now_s, so_far_ms, budget.budget_ms)
    if since_s is not None:
        why = f"an image has taken {so_far_ms:.0f} ms so far, {limit}"
        return _Delay(why, (now_s - since_s) * 1e3, in_work=True)
    if record.late_since is None:
        return _Delay()
    why = f"images take {record.processing_ms:.0f} ms, {limit}"
    return _Delay(why, (record.last_done - record.late_since) * 1e3)


def _late_since(
    earlier: float | None, now_s: float, took_ms: float, budget_ms: float
) -> float | None:
    """Since when images take longer than the budget, `earlier` if they did so before this one,
    which has taken `took_ms` by now; None when it does not."""
    if took_ms <= budget_ms:
        return None
    return now_s - (took_ms - budget_ms) / 1e3 if earlier is None else earlier


def _verdict(
    record: _Record, now_s: float, state: str, listening: bool, delay: _Delay, budget: Budget
) -> tuple[bytes, str]:
    """Level and one line: the worst of what is the matter."""
    if record.broken:
        return ERROR, record.broken
    if state != "active":
        return OK, state
    if not listening:
        return OK, "disabled"
    quiet_s = 0.0 if delay.in_work else now_s - record.last_image
    quiet = quiet_s > _QUIET_S
    if delay.late_ms > budget.grace_ms and not quiet:
        return ERROR, delay.why
    if record.last_failed and not quiet:
        return WARN, record.last_error
    if record.qos_mismatch or record.degraded:
        return WARN, record.qos_mismatch or record.degraded
    if quiet:
        last = f"; the last one: {record.last_error}" if record.last_failed else ""
        return WARN, f"no image for {quiet_s:.0f} s{last}"
    if delay.why:
        return WARN, delay.why
    return OK, "running"


def error_text(error: BaseException) -> str:
    """The text of an error; of one that is not the library's own, its name too."""
    own = isinstance(error, (DeviceError, ImageError, ModelError))
    return str(error) if own else f"{type(error).__name__}: {error}".removesuffix(": ")
