# SPDX-License-Identifier: Apache-2.0
"""The builder of the environment: when a stage runs again, and what it asks of a machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.places import REPOSITORY
from tools import setup_stage
from tools.setup_stage import Stage
from tools.setup_steps import clean_environment

PYTHONS = ("3.10", "3.11", "3.12", "3.13")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stage]:
    """Makes stages over a folder of their own: `pins.txt` counts whole, `linked/` by names."""
    monkeypatch.setattr(setup_stage, "REPOSITORY", tmp_path)
    monkeypatch.setattr(setup_stage, "STATE", tmp_path / "state")
    (tmp_path / "state").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "pins.txt").write_text("numpy==1\n")
    (tmp_path / "linked" / "a.py").write_text("1")

    def make(action: Callable[[], object]) -> Stage:
        return Stage("name", "says", action, [tmp_path / "pins.txt"], [tmp_path / "linked"])

    return make


def test_stage_runs_again_only_when_an_input_changed(
    stage: Callable[..., Stage], tmp_path: Path
) -> None:
    runs: list[int] = []
    step = stage(lambda: runs.append(1))
    assert not step.is_done()
    step.run()
    assert step.is_done()
    (tmp_path / "linked" / "a.py").write_text("2")  # linked: its content is seen anyway
    assert step.is_done()
    (tmp_path / "linked" / "b.py").write_text("1")
    assert not step.is_done()
    step.run()
    (tmp_path / "pins.txt").write_text("numpy==2\n")
    assert not step.is_done()
    assert len(runs) == 2


def test_failed_stage_is_not_done_and_was_not_interrupted(
    stage: Callable[..., Stage], tmp_path: Path
) -> None:
    step = stage(lambda: subprocess.run(["false"], check=True))
    with pytest.raises(subprocess.CalledProcessError):
        step.run()
    assert not step.is_done()
    assert not list((tmp_path / "state").glob("*.running"))


def test_interrupted_stage_leaves_its_mark(stage: Callable[..., Stage], tmp_path: Path) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    step = stage(interrupted)
    with pytest.raises(KeyboardInterrupt):
        step.run()
    assert not step.is_done()
    assert list((tmp_path / "state").glob("*.running"))


def test_says_what_is_missing_before_anything_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.environment", "demo"]
    variables = os.environ | {"PATH": str(tmp_path)}
    result = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True)
    assert result.returncode == 2
    for package in ("apt install g++", "apt install make", "apt install cmake"):
        assert package in result.stderr
    assert result.stdout == ""


def test_other_installations_are_kept_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "PYTHONHOME"):
        monkeypatch.setenv(name, "/opt/ros/rolling/lib")
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.com/simple")
    variables = clean_environment()
    assert "/opt/ros/rolling/lib" not in variables.values()
    assert variables["PIP_INDEX_URL"] == "https://example.com/simple"
    assert variables["PATH"].startswith(str(REPOSITORY / ".venv" / "bin"))


def lines(path: Path) -> list[Requirement]:
    texts = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [Requirement(text) for text in texts if text]


@pytest.mark.parametrize("python", PYTHONS)
def test_everything_is_pinned_for_every_python(python: str) -> None:
    pins: dict[str, list[str]] = {}
    for pin in lines(REPOSITORY / "constraints.txt"):
        if pin.marker is None or pin.marker.evaluate({"python_version": python}):
            pins.setdefault(pin.name.lower().replace("_", "-"), []).append(str(pin.specifier))
    assert all(len(found) == 1 and found[0].startswith("==") for found in pins.values())
    for path in sorted((REPOSITORY / "tools" / "requirements").glob("*.txt")):
        for wanted in lines(path):
            (pin,) = pins[wanted.name.lower().replace("_", "-")]
            assert wanted.specifier.contains(pin[2:]), wanted
