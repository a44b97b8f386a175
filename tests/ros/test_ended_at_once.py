# SPDX-License-Identifier: Apache-2.0
"""A process that is ended at once, whatever it does.

In a file of its own, before one whose messages are sent again: the first ones to the next process
at its place in shared memory may get lost (`tools.demo.network.end_in_peace`).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from tests.ros import faulty_node
from tests.ros.graph import PATIENCE_S, NodeProcess

Start = Callable[..., NodeProcess]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_node_that_is_being_configured(start: Start, sign: signal.Signals) -> None:
    node = start(command=faulty_node.command(faulty_node.loading))
    end = time.monotonic() + PATIENCE_S
    while "loads" not in node.output():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert node.end(sign) == 0
    assert "Traceback" not in node.output()
