# SPDX-License-Identifier: Apache-2.0
"""From the parameters to a pipeline that is ready to run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headpose_core.faces.detection import open_detector
from headpose_core.faces.face_detector import FaceDetector
from headpose_core.faces.tracking import Tracker
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_ros.health import error_text

Progress = Callable[[str], None]


class NodePipeline(HeadPosePipeline):
    """The pipeline of a node, which tells more of its network than every ``PoseModel`` can."""

    model: HeadPoseModel

    def __init__(self, detector: FaceDetector, model: HeadPoseModel, tracker: Tracker) -> None:
        super().__init__(detector, model, tracker)


def load_pipeline(values: dict[str, Any], tracker: Tracker, progress: Progress) -> NodePipeline:
    """Networks loaded and run once, tracks forgotten.

    values: ``Parameters.at_configure``. progress: gets a sentence when something takes long.
    Raises what the parts raise, ModelError and DeviceError above all.
    """
    path = values["detector_model"] or None
    detector = open_detector(values["detector"], path, threads=values["threads"])
    model = _load_model(values, progress, values["device"])
    tracker.reset()
    return NodePipeline(detector, model, tracker)


def fall_back_to_cpu(pipeline: NodePipeline, values: dict[str, Any], progress: Progress) -> str:
    """Go on with the CPU after the device has failed. Returns why it cannot, "" when it does."""
    if not values["allow_cpu_fallback"]:
        return "allow_cpu_fallback is false"
    if pipeline.model.device == "cpu":
        return "there is nothing else to run on"
    try:
        pipeline.model = _load_model(values, progress, "cpu")
    except Exception as error:  # of a runtime, or for want of memory: any of them ends it
        return f"the CPU cannot take over: {error_text(error)}"
    return ""


def _load_model(values: dict[str, Any], progress: Progress, device: str) -> HeadPoseModel:
    cache = values["engine_cache_dir"]
    return HeadPoseModel.load(
        values["model"] or None,
        device=device,
        backend=values["backend"],
        threads=values["threads"],
        allow_cpu_fallback=values["allow_cpu_fallback"],
        engine_cache_dir=Path(cache).expanduser() if cache else None,
        progress=progress,
    )
