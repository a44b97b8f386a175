# SPDX-License-Identifier: Apache-2.0
"""A float model file to one that computes in int8, calibrated on crops, without training.

Weights become int8 with a scale per output channel, activations uint8 with a scale and a zero
point per tensor (Jacob et al. 2018, section 2), written as QuantizeLinear and DequantizeLinear
around the convolutions: every runtime knows that form and fuses it in its own way, so one file
serves ONNX Runtime and OpenVINO.

Where the rounding happens is where both compute in integers throughout: what a convolution reads,
and what it adds to a shortcut (ONNX Runtime adds in float otherwise). The classifiers, a few
thousandths of the work, stay in float.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from headpose_core.errors import ModelError
from headpose_core.learning.export.activation_ranges import LEVELS, Range, activation_ranges
from headpose_core.learning.export.integer_graph import (
    GREY,
    classify_by_convolution,
    read_grey_levels,
    replace_all,
    weights_as_float32,
)
from headpose_core.output_files import atomic_write
from headpose_core.pose.head_pose_model import HeadPoseModel

# Processors without VNNI add two products of uint8 and int8 in 16 bits. With 7 bits for the
# weights that never overflows; with 8 it moves angles by a degree there. Others lose nothing.
WEIGHT_LIMIT = 63
# One level of the rounded pixels. At 1 there would be nothing to round, which OpenVINO notices: it
# would then compute the first convolution in float.
PIXEL_LEVEL = 256 / 255
# Largest mean change of an angle [deg] on the calibration crops. Ten times what is usual.
TOLERANCE_DEG = 2.0
SUFFIX = "_int8"


def quantise_model(path: Path, crops: NDArray[np.uint8], out: Path) -> float:
    """Write the int8 version of a float model file; returns the mean change of an angle [deg].

    crops: (N, 112, 112, 3) uint8 of faces, a few hundred. The change is measured on them with
    ONNX Runtime. Raises ModelError for a file that is quantised already; RuntimeError, and writes
    nothing, when the change exceeds ``TOLERANCE_DEG``.
    """
    model = weights_as_float32(onnx.load(path))
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise ModelError(f"{path}: expected a float model, got one that is quantised already")
    pixels = read_grey_levels(model)
    ranges = activation_ranges(model, quantised_tensors(model), crops)
    for pool in (node for node in model.graph.node if node.op_type == "MaxPool"):
        # Rounded alike before and after, it is a choice among integers.
        ranges[pool.input[0]] = ranges[pool.output[0]]
    ranges[pixels] = Range(-GREY * PIXEL_LEVEL, (LEVELS - GREY) * PIXEL_LEVEL)
    quantised = classify_by_convolution(_Rewriter(model, ranges).rewrite())
    (name,) = (entry for entry in quantised.metadata_props if entry.key == "name")
    name.value += SUFFIX
    onnx.checker.check_model(quantised, full_check=True)
    with atomic_write(out) as unfinished:
        onnx.save_model(quantised, unfinished)
        change = mean_change_deg(path, unfinished, crops)
        if not change <= TOLERANCE_DEG:
            raise RuntimeError(
                f"expected angles within {TOLERANCE_DEG} deg of the float model's on average, got "
                f"{change:.2f}: are these {len(crops)} crops faces like those it is for?"
            )
    return change


def mean_change_deg(before: Path, after: Path, crops: NDArray[np.uint8]) -> float:
    """Mean absolute difference of an angle in degrees between two model files."""
    models = [HeadPoseModel.load(p, device="cpu", backend="onnxruntime") for p in (before, after)]
    angles = [
        np.concatenate([m.decode(m.infer(part)).mean_deg for part in _batches(crops)])
        for m in models
    ]
    return float(np.abs(angles[0] - angles[1]).mean())


def quantised_tensors(model: ModelProto) -> list[str]:
    """Names of the activations to round, in the order of the graph.

    Those that a convolution reads, and both that are added at the end of a residual block, with
    the result: the block's rectifier, which the next block or the pooling reads.
    """
    nodes = list(model.graph.node)
    made_by = {output: node for node in nodes for output in node.output}
    added = [name for node in nodes if node.op_type == "Add" for name in node.input]
    names = {node.input[0] for node in nodes if node.op_type == "Conv"}
    names |= {name for name in added if name in made_by}
    names |= {
        node.output[0]
        for node in nodes
        if node.op_type == "Relu" and made_by[node.input[0]].op_type == "Add"
    }
    return [output for output in made_by if output in names]


@dataclass
class _Rewriter:
    """Builds the quantised graph of a float model; used once."""

    model: ModelProto
    ranges: dict[str, Range]

    def rewrite(self) -> ModelProto:
        graph = self.model.graph
        self._tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self._nodes: list[NodeProto] = []
        for node in list(graph.node):
            if node.op_type == "Conv":
                self._quantise_weights(node)
            for index, name in enumerate(node.input):
                if name in self.ranges:
                    node.input[index] = f"{name}_rounded"
            self._nodes.append(node)
            for name in node.output:
                if name in self.ranges:
                    self._round_activation(name)
        replace_all(graph.node, self._nodes)
        used = {name for node in self._nodes for name in node.input}
        tensors = [numpy_helper.from_array(v, k) for k, v in self._tensors.items() if k in used]
        replace_all(graph.initializer, tensors)
        return self.model

    def _quantise_weights(self, node: NodeProto) -> None:
        """Weights to int8, bias to int32 in units of input scale times weight scale."""
        weight, bias = (self._tensors[name] for name in node.input[1:3])
        rows = weight.reshape(len(weight), -1)
        scale = np.maximum(np.abs(rows).max(axis=1), 1e-12).astype(np.float32) / WEIGHT_LIMIT
        integers = np.rint(rows / scale[:, None]).reshape(weight.shape)
        self._dequantise(node.input[1], integers.astype(np.int8), scale, axis=0)
        unit = (scale * self.ranges[node.input[0]].scale).astype(np.float32)
        self._dequantise(node.input[2], np.rint(bias / unit).astype(np.int32), unit, axis=0)

    def _round_activation(self, name: str) -> None:
        """uint8 and back, from here on under another name."""
        told = self.ranges[name]
        parameters = [
            self._constant(f"{name}_scale", np.float32(told.scale)),
            self._constant(f"{name}_zero", np.uint8(told.zero)),
        ]
        self._add("QuantizeLinear", [name, *parameters], f"{name}_uint8")
        self._add("DequantizeLinear", [f"{name}_uint8", *parameters], f"{name}_rounded")

    def _dequantise(
        self, name: str, integers: NDArray[np.generic], scale: NDArray[np.float32], axis: int
    ) -> None:
        """Integers under the name of the floats that they stand for."""
        del self._tensors[name]
        parts = [
            self._constant(f"{name}_integers", integers),
            self._constant(f"{name}_scale", scale),
            self._constant(f"{name}_zero", np.zeros(scale.shape, integers.dtype)),
        ]
        self._add("DequantizeLinear", parts, name, axis=axis)

    def _constant(self, name: str, values: ArrayLike) -> str:
        self._tensors[name] = np.asarray(values)
        return name

    def _add(self, operator: str, inputs: list[str], output: str, **attributes: int) -> None:
        node = helper.make_node(operator, inputs, [output], name=f"{output}_{operator}")
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        self._nodes.append(node)


def _batches(crops: NDArray[np.uint8], size: int = 16) -> list[NDArray[np.uint8]]:
    return [crops[start : start + size] for start in range(0, len(crops), size)]
