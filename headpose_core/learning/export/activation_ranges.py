# SPDX-License-Identifier: Apache-2.0
"""The range of values that each activation of a network is rounded in, from what faces give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from headpose_core.onnx_files.sessions import open_session
from headpose_core.pose.model_file import INPUT
from headpose_core.types import FloatArray

LEVELS = 255  # of a uint8, beside zero
_BINS = 2048
_BATCH = 16


@dataclass(frozen=True)
class Range:
    """low <= 0 <= high; both, and zero itself, fall on one of 256 levels."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        """One level in the activation's own unit, a value of float32."""
        return float(np.float32(max(self.high - self.low, 1e-12) / LEVELS))

    @property
    def zero(self) -> int:
        """The level of zero."""
        return int(np.clip(np.rint(-self.low / self.scale), 0, LEVELS))


def activation_ranges(
    model: ModelProto, names: Sequence[str], crops: NDArray[np.uint8]
) -> dict[str, Range]:
    """The best range of each named activation of a float model on crops (N, 112, 112, 3).

    Best is what makes the mean squared error of rounding smallest: a few large values are clipped
    for the sake of all others. Two passes over the crops, for the limits and for the histogram.
    """
    if not len(crops):
        raise ValueError("expected crops to calibrate on, got none")
    low, high = np.zeros(len(names)), np.zeros(len(names))
    for values in _activations(model, names, crops):
        low = np.minimum(low, [v.min() for v in values])
        high = np.maximum(high, [v.max() for v in values])
    counts = np.zeros((len(names), _BINS))
    for values in _activations(model, names, crops):
        for i, v in enumerate(values):
            counts[i] += np.histogram(v, _BINS, (low[i], max(high[i], low[i] + 1e-6)))[0]
    return {
        name: best_range(counts[i], float(low[i]), float(high[i])) for i, name in enumerate(names)
    }


def best_range(counts: FloatArray, low: float, high: float) -> Range:
    """The range of least squared error, of those that shrink (low, high) by one factor.

    counts: (B,) histogram of the values between low <= 0 and high >= 0.
    """
    centres = low + (np.arange(len(counts)) + 0.5) * (high - low) / len(counts)

    def error(candidate: Range) -> float:
        levels = np.rint(centres / candidate.scale) + candidate.zero
        rounded = (np.clip(levels, 0, LEVELS) - candidate.zero) * candidate.scale
        return float(counts @ (centres - rounded) ** 2)

    candidates = [
        Range(low * factor, high * factor) for factor in np.linspace(0.3, 1.0, 71).tolist()
    ]
    return min(candidates, key=error)


def _activations(
    model: ModelProto, names: Sequence[str], crops: NDArray[np.uint8]
) -> Iterator[list[NDArray[np.float32]]]:
    """The named activations, in their order, of one batch after the other."""
    probe = ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    session = open_session(probe.SerializeToString())
    for start in range(0, len(crops), _BATCH):
        yield session.run(list(names), {INPUT: crops[start : start + _BATCH]})
