# SPDX-License-Identifier: Apache-2.0
"""The parameters' YAML says the same as the code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import yaml

from headpose_ros.parameter_table import AT_CONFIGURE, AT_START, LIVE, PARAMETERS
from tests.ros.graph import REPOSITORY, NodeProcess, Probe

YAML = REPOSITORY / "config" / "headpose.yaml"


def test_yaml_has_every_parameter_with_its_default() -> None:
    (node,) = yaml.safe_load(YAML.read_text()).values()
    assert node["ros__parameters"] == {row.name: row.default for row in PARAMETERS}
    for row in PARAMETERS:
        assert type(node["ros__parameters"][row.name]) is type(row.default), row.name


def test_yaml_says_when_each_is_read_and_why() -> None:
    when = {AT_START: "start", AT_CONFIGURE: "configure", LIVE: "live"}
    comments = {
        line.split(":")[0].strip(): line.partition("#")[2].split()
        for line in YAML.read_text().splitlines()
        if line.startswith("    ") and "#" in line.lstrip()[1:]
    }
    for row in PARAMETERS:
        assert comments[row.name][0] == when[row.when], row.name
        assert len(comments[row.name]) > 3, row.name


def test_node_takes_the_yaml(start: Callable[..., NodeProcess], probe: Probe) -> None:
    start(probe.namespace, arguments=("--params-file", str(YAML)))
    probe.until_values(state="active")
