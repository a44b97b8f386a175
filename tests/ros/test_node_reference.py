# SPDX-License-Identifier: Apache-2.0
"""docs/node.md against the running node: parameters, topics, services, keys of the diagnostics."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from tests.ros.graph import NodeProcess, Probe
from tools.node_reference import PAGE, with_table

TEXT = PAGE.read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands under a heading."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


def test_the_table_is_what_make_docs_writes() -> None:
    assert with_table(TEXT) == TEXT, "run `make docs`"


def test_topics_services_and_keys_are_those_of_the_node(
    start: Callable[..., NodeProcess], probe: Probe
) -> None:
    start(probe.namespace)
    values = probe.until_values(state="active")
    keys = set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\|(.*?)\|", section("Diagnostics"), re.M)))
    )
    assert keys == set(values)

    published = probe.node.get_publisher_names_and_types_by_node("headpose", probe.namespace)
    heard = probe.node.get_subscriber_names_and_types_by_node("headpose", probe.namespace)
    rows = re.findall(r"^\| `([^`]+)`( \(in\))? \| (\S+)", section("Topics"), re.MULTILINE)
    documented = {(name, kind): is_in for name, is_in, kind in rows}
    own = {"/parameter_events", "/rosout", f"{probe.namespace}/headpose/transition_event"}
    for found, is_in in ((published, ""), (heard, " (in)")):
        for topic, (kind,) in found:
            if topic in own:
                continue
            short = topic.removeprefix(f"{probe.namespace}/")
            assert documented[(short, kind.replace("/msg/", "/"))] == is_in
    assert {"head_pose", "head_pose/markers", "head_pose/debug_image"} <= {
        topic.removeprefix(f"{probe.namespace}/") for topic, _ in published
    }

    services = probe.node.get_service_names_and_types_by_node("headpose", probe.namespace)
    own_services = {
        (name.rpartition("/")[2], kind.replace("/srv/", "/"))
        for name, (kind,) in services
        if kind.startswith("std_srvs")
    }
    rows = re.findall(r"^\| `~/(\w+)` \| (std_srvs\S+)", section("Services"), re.MULTILINE)
    assert own_services == set(rows)
