# SPDX-License-Identifier: Apache-2.0
"""The table of parameters, the YAML made from it, and the node that takes the YAML."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import yaml

from headpose_core.settings import settings_of
from headpose_ros.parameter_table import (
    AT_CONFIGURE,
    AT_START,
    LIVE,
    PARAMETERS,
    PREFIXES,
    ROWS,
    SECTIONS,
    Parameter,
)
from tests.ros.graph import NodeProcess, Probe
from tools.node_reference import YAML, yaml_file

BY_NAME = {row.name: row for row in PARAMETERS}


def test_every_parameter_is_in_one_section_once() -> None:
    names = [name for names in SECTIONS.values() for name in names]
    assert sorted(names) == sorted(ROWS)
    assert [row.name for row in PARAMETERS] == names


@pytest.mark.parametrize("kind", PREFIXES)
def test_every_setting_of_the_library_is_a_live_parameter(kind: type) -> None:
    for one in settings_of(kind):
        row = BY_NAME[f"{PREFIXES[kind]}{one.plain_name}"]
        assert (row.default, row.limits, row.step) == (one.default, one.limits, one.step)
        assert type(row.default) is type(one.default)
        assert row.when == LIVE
        assert one.words in row.text
        assert one.unit in row.text


@pytest.mark.parametrize("row", PARAMETERS, ids=lambda row: row.name)
def test_a_parameter_says_what_it_does_and_takes_its_default(row: Parameter) -> None:
    assert row.text.endswith(".")
    assert len(row.text.split()) > 3
    assert row.when in (AT_START, AT_CONFIGURE, LIVE)
    assert row.problem(row.default) == ""
    number = isinstance(row.default, (int, float)) and not isinstance(row.default, bool)
    assert number == (row.limits is not None)
    if row.limits:
        assert row.limits[0] <= row.default <= row.limits[1]


def test_yaml_is_what_make_docs_writes() -> None:
    assert YAML.read_text(encoding="utf-8") == yaml_file(), "run `make docs`"


def test_yaml_loads_with_the_same_values_and_types() -> None:
    (node,) = yaml.safe_load(YAML.read_text(encoding="utf-8")).values()
    loaded = node["ros__parameters"]
    assert loaded == {row.name: row.default for row in PARAMETERS}
    for row in PARAMETERS:
        assert type(loaded[row.name]) is type(row.default), row.name


def test_node_takes_the_yaml(start: Callable[..., NodeProcess], probe: Probe) -> None:
    start(probe.namespace, arguments=("--params-file", str(YAML)))
    probe.until_values(state="active")
