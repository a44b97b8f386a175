# SPDX-License-Identifier: Apache-2.0
"""The node's own process with a fault in it, for what no file and no message brings about.

    python -m tests.ros.faulty_node FAULT [ARGUMENT] --ros-args ...

FAULT is the name of a function below. The node and everything around it is the real one.
"""

from __future__ import annotations

import builtins
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from headpose_core.errors import DeviceError
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.types import Frame
from headpose_ros import headpose_node, processor

LONGEST_S = 4.0  # that a gated node waits for an image when it shall stop


def slow(seconds: str) -> None:
    """Every image takes so much longer; prints `took SECONDS` for each."""
    process = HeadPosePipeline.__call__

    def process_slowly(pipeline: HeadPosePipeline, *arguments: Any) -> Frame:
        begun_s = time.monotonic()
        time.sleep(float(seconds))
        frame = process(pipeline, *arguments)
        print(f"took {time.monotonic() - begun_s:.3f}", flush=True)
        return frame

    HeadPosePipeline.__call__ = process_slowly


def gated(folder: str) -> None:
    """The pose network makes the file `begun`, then waits for the file `open`."""
    infer, begun, opened = HeadPoseModel.infer, Path(folder, "begun"), Path(folder, "open")

    def infer_slowly(model: HeadPoseModel, crops: np.ndarray) -> np.ndarray:
        begun.touch()
        while not opened.exists():
            time.sleep(0.005)
        return infer(model, crops)

    HeadPoseModel.infer = infer_slowly
    processor._PATIENCE_S = LONGEST_S


def device(cpu_error: str = "") -> None:
    """The pose network fails on its device, other than the CPU; for the CPU it cannot be loaded
    when an error is given: the name of a built-in one, else DeviceError. Prints `asked DEVICE` for
    each."""
    load = HeadPoseModel.load

    def load_failing(path: str, *, device: str, **options: Any) -> HeadPoseModel:
        print(f"asked {device}", flush=True)
        if device == "cpu" and cpu_error:
            raise getattr(builtins, cpu_error, DeviceError)("no such thing")
        model = load(path, device="cpu", **options)
        if device != "cpu":
            model.device, model.infer = device, fail
        return model

    def fail(crops: np.ndarray) -> np.ndarray:
        raise DeviceError("CUDA error 700: an illegal memory access was encountered")

    HeadPoseModel.load = load_failing


def late(folder: str, cpu_error: str = "") -> None:
    """As `device`, and what is loaded for the CPU waits for the file `open`, then makes `done`."""
    device(cpu_error)
    load = HeadPoseModel.load

    def load_late(path: str, *, device: str, **options: Any) -> HeadPoseModel:
        while device == "cpu" and not Path(folder, "open").exists():
            time.sleep(0.005)
        try:
            return load(path, device=device, **options)
        finally:
            if device == "cpu":
                Path(folder, "done").touch()

    HeadPoseModel.load = load_late


def loading() -> None:
    """Loading the pose network has no end. Prints `loads` when it begins."""

    def load_for_ever(*arguments: Any, **options: Any) -> HeadPoseModel:
        print("loads", flush=True)
        while True:
            time.sleep(1000.0)

    HeadPoseModel.load = load_for_ever


FAULTS: dict[str, Callable[..., None]] = {
    fault.__name__: fault for fault in (slow, gated, device, late, loading)
}


def command(fault: Callable[..., None], *arguments: object) -> tuple[str, ...]:
    """Of the process."""
    return (sys.executable, "-m", __spec__.name, fault.__name__, *map(str, arguments))


if __name__ == "__main__":
    own = sys.argv[1 : sys.argv.index("--ros-args")]
    FAULTS[own[0]](*own[1:])
    sys.exit(headpose_node.main())
