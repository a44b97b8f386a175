# SPDX-License-Identifier: Apache-2.0
"""Work in processes of their own: what one that dies costs."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headpose_core.commands.workers import WorkerError, in_processes

BEGUN = "HEADPOSE_TEST_BEGUN"  # names the file by which one process waits for another


def double(number: int, stopped: Callable[[], bool]) -> int | str:
    """Some items end badly."""
    Path(tempfile.mkdtemp(), "large").touch()
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 5:
        sys.exit(7)
    begun = Path(os.environ.get(BEGUN, os.devnull))
    while number == 9 and not begun.exists():
        time.sleep(0.01)
    if number == 7:
        begun.touch()
        while not stopped():
            time.sleep(0.01)
        return "ended early"
    return 2 * number


def test_a_process_that_dies_costs_its_own_item(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cleaned: list[int] = []
    found = dict(
        in_processes(double, range(1, 7), 2, lambda: False, lambda item, pid: cleaned.append(item))
    )
    assert {item: result for item, result in found.items() if item not in (3, 5)} == {
        1: 2,
        2: 4,
        4: 8,
        6: 12,
    }
    assert all(isinstance(found[item], WorkerError) for item in (3, 5))
    assert "SIGKILL: is there enough memory?" in str(found[3])
    assert str(found[5]).endswith("ended with status 7")
    assert sorted(cleaned) == [3, 5]
    assert list(tmp_path.iterdir()) == []


def test_who_is_told_to_stop_ends_and_nobody_begins(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(BEGUN, str(tmp_path / "begun"))
    found: list[tuple[int, object]] = []
    for pair in in_processes(double, [7, 9, 1], 2, lambda: bool(found), lambda *_: None):
        found.append(pair)  # noqa: PERF402 (it decides when to stop)
    assert found == [(9, 18), (7, "ended early")]


def test_who_gives_up_leaves_no_process() -> None:
    cleaned: list[int] = []

    def give_up() -> bool:
        raise KeyboardInterrupt

    answers = iter([lambda: False, lambda: False, give_up])
    work = in_processes(
        double, [7], 1, lambda: next(answers)(), lambda _, pid: cleaned.append(pid)
    )
    with pytest.raises(KeyboardInterrupt):
        list(work)
    (pid,) = cleaned
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
