# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests over real DDS. Without ROS 2 these tests are not collected."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tools.demo.network import private_network

if TYPE_CHECKING:
    from rclpy.context import Context
    from rclpy.node import Node

    from tests.ros.graph import NodeProcess, Probe

_numbers = itertools.count()


@pytest.fixture
def ros() -> Iterator[Context]:
    """rclpy, on a domain of its own; anew for each test, which then does not know the place in
    shared memory of a process that an earlier one killed (`end_in_peace`)."""
    pytest.importorskip("rclpy", reason="needs ROS 2")
    from rclpy.context import Context

    with pytest.MonkeyPatch.context() as patch:
        for name, value in private_network().items():
            patch.setenv(name, value)
        context = Context()
        context.init()
        yield context
        context.shutdown()


@pytest.fixture
def start(
    ros: Context, tmp_path: Path, tiny_model_file: Path
) -> Iterator[Callable[..., NodeProcess]]:
    """Starts nodes, with the tiny model unless told otherwise, that end in peace with the test."""
    from tests.ros.graph import NodeProcess

    nodes: list[NodeProcess] = []

    def start(namespace: str = "/test", **options: Any) -> NodeProcess:
        options.setdefault("model", tiny_model_file)
        nodes.append(NodeProcess(tmp_path / f"node{len(nodes)}.log", namespace, **options))
        return nodes[-1]

    yield start
    for node in nodes:
        node.close()
    assert [node.process.returncode for node in nodes if node.process.returncode < 0] == []


@pytest.fixture
def probe(ros: Context) -> Iterator[Probe]:
    """In a namespace that no other test uses."""
    from tests.ros.graph import Probe

    probe = Probe(ros, f"/test{next(_numbers)}")
    yield probe
    probe.close()


@pytest.fixture
def node(probe: Probe) -> Iterator[Node]:
    """A node in the probe's process, for publishers of its own."""
    from rclpy.node import Node

    node = Node("outputs", namespace=probe.namespace, context=probe.node.context)
    yield node
    node.destroy_node()
