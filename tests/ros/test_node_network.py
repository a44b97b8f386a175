# SPDX-License-Identifier: Apache-2.0
"""The running node looks nobody up, reaches no other machine and keeps nothing but ROS's log."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from tests.ros.graph import NodeProcess, Probe, image_message
from tests.watched import PATIENCE_S, build_watch, seen, watched_environment


@pytest.mark.parametrize("backend", ["onnxruntime", "auto"])
def test_nothing_goes_out_and_nothing_is_kept(
    start: Callable[..., NodeProcess],
    probe: Probe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    astronaut: np.ndarray,
    backend: str,
) -> None:
    folder = tmp_path / "watched"
    with monkeypatch.context() as patch:
        for name, value in watched_environment(build_watch(tmp_path), folder).items():
            patch.setenv(name, value)
        for name in ("CI", "ORT_DISABLE_TELEMETRY"):
            patch.delenv(name, raising=False)
        node = start(probe.namespace, backend=backend)
    begun_s = time.monotonic()
    probe.until_ready()
    assert len(probe.ask(image_message(astronaut)).heads) == 1
    probe.until(lambda: time.monotonic() - begun_s > PATIENCE_S, "telemetry would have been sent")
    assert node.end() == 0
    lines, files = seen(folder)
    assert lines == []
    assert files
    assert [file for file in files if not file.startswith(".ros/log/")] == []
