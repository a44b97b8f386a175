# SPDX-License-Identifier: Apache-2.0
"""Which part imports which: the arrows of docs/design.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import REPOSITORY

ROS = {"rclpy", "tf2_ros", "headpose_ros", "sensor_msgs", "std_msgs", "geometry_msgs"}
MODULES = sorted(p for p in REPOSITORY.glob("headpose_*/**/*.py") if "__pycache__" not in p.parts)


def imported(path: Path) -> Iterator[str]:
    """Top names of everything that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_arrows_go_one_way(path: Path) -> None:
    names, room = set(imported(path)), path.relative_to(REPOSITORY).parts
    assert not names & {"training", "tests", "tools", "benchmarks"}
    if room[0] == "headpose_core":
        assert not names & ROS
        if room[1] not in ("learning", "backends"):
            assert "torch" not in names
    else:
        assert "torch" not in names
