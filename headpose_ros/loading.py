# SPDX-License-Identifier: Apache-2.0
"""From the parameters to a pipeline that is ready to run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headpose_core.detection import open_detector
from headpose_core.pipeline import HeadPosePipeline, PipelineConfig
from headpose_core.runtime import HeadPoseModel
from headpose_core.tracking import Tracker
from headpose_ros.health import told

Say = Callable[[str], None]


def load_pipeline(values: dict[str, Any], tracker: Tracker, say: Say) -> HeadPosePipeline:
    """Networks loaded and run once, tracks forgotten.

    values: ``Parameters.at_configure``. say: is told what takes long. Raises what the parts raise,
    ModelError and DeviceError above all.
    """
    detector = open_detector(
        values["detector"], values["detector_model"] or None, threads=values["threads"]
    )
    model = _load_model(values, say, values["device"])
    tracker.reset()
    return HeadPosePipeline(
        detector, model, tracker, PipelineConfig(max_faces=values["max_faces"])
    )


def take_over(pipeline: HeadPosePipeline, values: dict[str, Any], say: Say) -> str:
    """Let the CPU go on for the device that failed. Returns why it cannot, "" when it does."""
    if not values["allow_cpu_fallback"]:
        return "the CPU may not take over"
    if pipeline.model.device == "cpu":
        return "there is nothing else to run on"
    try:
        pipeline.model = _load_model(values, say, "cpu")
    except Exception as error:  # of a runtime, or for want of memory: any of them ends it
        return f"the CPU cannot take over: {told(error)}"
    return ""


def _load_model(values: dict[str, Any], say: Say, device: str) -> HeadPoseModel:
    cache = values["engine_cache_dir"]
    return HeadPoseModel.load(
        values["model"] or None,
        device=device,
        backend=values["backend"],
        threads=values["threads"],
        allow_cpu_fallback=values["allow_cpu_fallback"],
        engine_cache_dir=Path(cache).expanduser() if cache else None,
        progress=say,
    )
