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

Say = Callable[[str], None]


def load_pipeline(values: dict[str, Any], tracker: Tracker, say: Say) -> HeadPosePipeline:
    """Networks loaded and run once, tracks forgotten.

    values: ``Parameters.at_configure``. say: is told what takes long. Raises what the parts raise,
    ModelError and DeviceError above all.
    """
    detector = open_detector(
        values["detector"], values["detector_model"] or None, threads=values["threads"]
    )
    model = load_model(values, say, device=values["device"], backend=values["backend"])
    tracker.reset()
    return HeadPosePipeline(
        detector, model, tracker, PipelineConfig(max_faces=values["max_faces"])
    )


def load_model(values: dict[str, Any], say: Say, *, device: str, backend: str) -> HeadPoseModel:
    """The pose network on a device; loading runs it once."""
    cache = values["engine_cache_dir"]
    return HeadPoseModel.load(
        values["model"] or None,
        device=device,
        backend=backend,
        threads=values["threads"],
        allow_cpu_fallback=values["allow_cpu_fallback"],
        engine_cache_dir=Path(cache).expanduser() if cache else None,
        progress=say,
    )
