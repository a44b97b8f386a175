# SPDX-License-Identifier: Apache-2.0
"""The contract of a model file: its input, its output and its metadata.

ONNX with normalisation inside the graph: input ``crops`` (N, 112, 112, 3) uint8 RGB, output
``logits`` (N, 3, 62) float32 in the order yaw, pitch, roll, any N. The metadata (``properties``)
say which bins and which crop it was trained with. Export writes by this module, loading checks
by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headpose_core.errors import ModelError
from headpose_core.images.crop import CROP_RULES, CROP_SIZE, Fit
from headpose_core.onnx_files.onnx_file import Description, TensorInfo
from headpose_core.pose.bins import BIN_WIDTH_DEG, FIRST_CENTRE_DEG, NUM_BINS
from headpose_core.pose.turns import TURNS_SHAPE
from headpose_core.types import FloatArray

# What every file of this format carries, whatever the model.
FIXED_PROPERTIES: dict[str, Any] = {
    "format": "headpose/1",
    "bins": {
        "count": NUM_BINS,
        "width_deg": BIN_WIDTH_DEG,
        "first_centre_deg": FIRST_CENTRE_DEG,
    },
}
INPUT, INPUT_SHAPE = "crops", (CROP_SIZE, CROP_SIZE, 3)
OUTPUT, OUTPUT_SHAPE = "logits", (3, NUM_BINS)


@dataclass(frozen=True)
class ModelMetadata:
    """What a model file says about itself.

    temperature: (3,) float64 > 0, calibrates the spread of yaw, pitch, roll; see ``bins.decode``.
    metrics: what it reached where, as its export measured it.
    crop: whether it wants boxes padded to squares, as in the paper, or stretched.
    crop_scale: of the boxes before that; below 1 it sees less around the face.
    turns: (4, 10) float64, tells by the logits how a crop is turned, see ``turns.py``; None where
        that was not learned, and faces are then taken to be upright.
    """

    name: str
    version: str
    temperature: FloatArray
    training_data: str
    licence: str
    metrics: dict[str, Any]
    git_hash: str
    crop: Fit = "pad"
    crop_scale: float = 1.0
    turns: FloatArray | None = None

    def to_properties(self) -> dict[str, str]:
        """The file's ``metadata_props``; lists and objects as JSON."""
        crop = {**CROP_RULES[self.crop], "scale": self.crop_scale}
        values = {**vars(self), "temperature": self.temperature.tolist(), "crop": crop}
        values |= FIXED_PROPERTIES
        del values["crop_scale"], values["turns"]
        if self.turns is not None:
            values["turns"] = np.round(self.turns, 5).tolist()
        return {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> ModelMetadata:
        """Read ``metadata_props``. Raises ModelError when they are missing, broken or of another
        format, bin grid or crop rule than this library's."""
        # The scale is part of "crop"; files of before 0.5.0 have neither.
        needed = cls.__annotations__.keys() - {"crop_scale", "turns"}
        missing = (FIXED_PROPERTIES.keys() | needed) - properties.keys()
        if missing:
            raise ModelError(
                f"expected a model exported for headpose, its metadata lack {sorted(missing)}; "
                "export it again with training.export"
            )
        for key, expected in FIXED_PROPERTIES.items():
            got = properties[key] if isinstance(expected, str) else _json(properties, key)
            if got != expected:
                raise ModelError(f"metadata '{key}': expected {expected}, got {got}")
        crop, crop_scale = _crop(_json(properties, "crop"))
        texts = ("name", "version", "training_data", "licence", "git_hash")
        return cls(
            **{key: properties[key] for key in texts},
            temperature=_temperature(_json(properties, "temperature")),
            metrics=_metrics(_json(properties, "metrics")),
            crop=crop,
            crop_scale=crop_scale,
            turns=_turns(_json(properties, "turns")) if "turns" in properties else None,
        )


def check_signature(model: Description) -> None:
    """Raise ModelError unless the model has the one input and the one output of the contract.

    An output whose sizes are left open passes: only running the model tells them.
    """
    _check_tensor("input", model.inputs, TensorInfo(INPUT, "uint8", ("N", *INPUT_SHAPE)))
    told = [size for output in model.outputs[:1] for size in output.shape[1:]]
    sizes = told if any(isinstance(size, str) for size in told) else OUTPUT_SHAPE
    _check_tensor("output", model.outputs, TensorInfo(OUTPUT, "float32", ("N", *sizes)))


def check_logits(shape: tuple[int, ...], count: int) -> None:
    """Raise ModelError unless this is the shape of the logits of so many crops."""
    if shape != (count, *OUTPUT_SHAPE):
        raise ModelError(f"expected logits {(count, *OUTPUT_SHAPE)}, got {shape}")


def _check_tensor(role: str, tensors: tuple[TensorInfo, ...], expected: TensorInfo) -> None:
    """One tensor like the expected one, whose first axis is free under any name."""
    if len(tensors) == 1:
        (got,) = tensors
        free = got.shape and not isinstance(got.shape[0], int)
        if free and replace(got, shape=("N", *got.shape[1:])) == expected:
            return
    listing = ", ".join(map(str, tensors))
    raise ModelError(f"expected one {role} {expected}, got {listing or 'none'}")


def _json(properties: Mapping[str, str], key: str) -> Any:
    try:
        return json.loads(properties[key])
    except (ValueError, RecursionError) as error:
        raise ModelError(f"metadata '{key}': expected JSON, got '{properties[key]}'") from error


def _temperature(value: Any) -> FloatArray:
    try:
        temperature = np.array(value, np.float64)
    except (ValueError, TypeError):
        temperature = np.empty(0)
    if temperature.shape != (3,) or not (np.isfinite(temperature) & (temperature > 0)).all():
        raise ModelError(f"metadata 'temperature': expected three numbers > 0, got {value}")
    return temperature


def _turns(value: Any) -> FloatArray:
    try:
        turns = np.array(value, np.float64)
    except (ValueError, TypeError):
        turns = np.empty(0)
    if turns.shape != TURNS_SHAPE or not np.isfinite(turns).all():
        raise ModelError(f"metadata 'turns': expected numbers {TURNS_SHAPE}, got {value}")
    return turns


def _metrics(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelError(f"metadata 'metrics': expected a JSON object, got {value}")
    return value


def _crop(value: Any) -> tuple[Fit, float]:
    """The rule and its scale, which files of before 0.5.0 do not have."""
    rest = {**value} if isinstance(value, dict) else {}
    scale = rest.pop("scale", 1.0)
    if not isinstance(scale, (int, float)) or not 0.5 <= scale <= 2.0:
        raise ModelError(f"metadata 'crop': expected a scale from 0.5 to 2, got {scale}")
    for fit, rule in CROP_RULES.items():
        if rest == rule:
            return fit, float(scale)
    raise ModelError(f"metadata 'crop': expected one of {[*CROP_RULES.values()]}, got {value}")
