# SPDX-License-Identifier: Apache-2.0
"""A process of its own from its start to its first pose: how long, and how much memory.

    python -m headpose_core.benchmark.first_pose [MODEL [DEVICE [BACKEND]]]

prints them as JSON. A process that measures other things as well would count those too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

SIZE = (720, 1280)


def first_pose(model: Path | None, device: str, backend: str) -> dict[str, float]:
    """Start such a process. Returns {"first_pose_s", "rss_mb"}: seconds from its start to the
    heads of one 720p image, and its peak memory in 1e6 bytes after a few. RuntimeError: it fails.
    """
    command = [sys.executable, "-m", "headpose_core.benchmark.first_pose"]
    started = time.time()
    done = subprocess.run(
        [*command, str(model or ""), device, backend, repr(started)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"expected a first pose, got {done.stderr.strip()}")
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _run(model: str, device: str, backend: str, started: float) -> dict[str, float]:
    import numpy as np

    from headpose_core.benchmark.stages import KnownFaces, spread_boxes
    from headpose_core.faces.tracking import Tracker
    from headpose_core.faces.yunet import YuNet
    from headpose_core.pipeline import HeadPosePipeline
    from headpose_core.pose.head_pose_model import HeadPoseModel

    network = HeadPoseModel.load(model or None, device=device, backend=backend)
    known = KnownFaces(YuNet(), spread_boxes(SIZE[1], SIZE[0], 1))
    pipeline = HeadPosePipeline(known, network, Tracker())
    image = np.full((*SIZE, 3), 128, np.uint8)
    pipeline(image, 0.0)
    first_pose_s = time.time() - started
    for number in range(1, 10):
        pipeline(image, number / 30)
    return {"first_pose_s": first_pose_s, "rss_mb": peak_memory_mb()}


def peak_memory_mb() -> float:
    """The most memory that this process has held, 1e6 bytes.

    The kernel's own count: getrusage would begin with that of the process that started this one.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024 / 1e6


if __name__ == "__main__":
    _given = dict(enumerate(sys.argv[1:]))
    _started = float(_given.get(3, time.time()))
    _told = _run(_given.get(0, ""), _given.get(1, "auto"), _given.get(2, "auto"), _started)
    print(json.dumps(_told))
