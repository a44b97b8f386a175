# SPDX-License-Identifier: Apache-2.0
"""The models that come with the package, and how they are asked for by name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from headpose_core.errors import ModelError
from headpose_core.pose.instructions import this_processor

WEIGHTS = Path(__file__).parents[1] / "weights"
DEFAULT_MODEL = WEIGHTS / "ehpnet_resnet18.onnx"
# The same network in integers: as accurate, and on processors made for it four times as fast.
DEFAULT_INT8_MODEL = WEIGHTS / "ehpnet_resnet18_int8.onnx"


def shipped_models() -> list[Path]:
    """Files of the shipped models, the default first."""
    return sorted(WEIGHTS.glob("*.onnx"), key=lambda file: (file != DEFAULT_MODEL, file.name))


@dataclass(frozen=True)
class ChosenModel:
    """A model file, and why it was taken."""

    path: Path
    reason: str


def chosen_model(
    given: str | os.PathLike[str] | None, backend: str, device: str, precision: str
) -> ChosenModel:
    """The file for a backend on a device: the one that is given, or the faster default there.

    given: as for ``model_path``. precision: "auto", or that of the float layers which is asked
    for, and so of a float file. Raises ModelError as ``model_path`` does.
    """
    if given is not None:
        return ChosenModel(model_path(given), "it was asked for")
    if device != "cpu":
        return ChosenModel(DEFAULT_MODEL, "float: a GPU computes in float16")
    if precision != "auto":
        return ChosenModel(DEFAULT_MODEL, f"float: {precision} was asked for")
    if backend == "torch":
        return ChosenModel(DEFAULT_MODEL, "float: torch runs no other")
    processor = this_processor()
    if not processor.integers:
        why = "no instructions for int8" if processor.flags else "instructions that are not known"
        return ChosenModel(DEFAULT_MODEL, f"float: {processor.name} has {why}")
    if backend == "openvino" and processor.is_arm:
        return ChosenModel(DEFAULT_MODEL, "float: OpenVINO on Arm was never timed in int8")
    return ChosenModel(DEFAULT_INT8_MODEL, f"int8: {processor.name} has {processor.integers}")


def model_path(given: str | os.PathLike[str] | None = None) -> Path:
    """The model file meant: a path, the name of a shipped one as ``ehpnet_lite``, or the default.

    Raises ModelError for a bare name that is neither a file nor shipped.
    """
    if given is None:
        return DEFAULT_MODEL
    path = Path(given)
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    shipped = {file.stem: file for file in shipped_models()}
    if path.name not in shipped:
        raise ModelError(
            f"{path.name}: expected the path of an .onnx file or the name of a shipped model, "
            f"{', '.join(shipped)}"
        )
    return shipped[path.name]
