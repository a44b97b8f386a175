# SPDX-License-Identifier: Apache-2.0
"""A network in float16, for GPUs whose units for it are several times faster.

Convolutions and what lies between them compute in float16; what is sensitive stays in float32:
the normalisation of the pixels, softmax, means, the last layer and with it the output.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import ModelError
from headpose_core.onnx_files.onnx_file import (
    FLOAT16,
    FLOAT32,
    GRAPH,
    INITIALIZER,
    NODE,
    OPERATOR,
    OUTPUT,
    read_weights,
    tensor_bytes,
    tensor_name,
    tensor_type,
)
from headpose_core.onnx_files.protobuf import Value, encode, fields, first, message_in, text_in

_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_VALUE_INFO = 13  # of a graph: types of tensors in between, which change
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TYPE, _INT = 1, 3, 20, 2
# Everything that they take is float: all of it in float16, or nothing.
_ARITHMETIC = {"Add", "AveragePool", "Concat", "Conv", "MatMul", "MaxPool", "Mul", "Relu"}
# Only the first thing that they take is data, the others are shapes.
_SHAPING = {"Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose"}
_SHAPING |= {"Unsqueeze"}


def to_half_precision(data: bytes) -> bytes:
    """The same ONNX model with its convolutions in float16, inputs and outputs as they were.

    Raises ModelError when ``data`` is no model, is quantised, or has weights beyond +-65504.
    """
    graph, start, end = first(memoryview(data), GRAPH)
    half = encode(GRAPH, _Conversion(graph, read_weights(data)).graph())
    return data[:start] + half + data[end:]


@dataclass
class _Node:
    """A node of the graph, with what is not its inputs and outputs as it came."""

    operator: str
    inputs: list[str]
    outputs: list[str]
    rest: bytes

    @classmethod
    def read(cls, message: memoryview) -> _Node:
        parts = list(fields(message))
        inputs = [text_in(value) for number, value in parts if number == _NODE_INPUT]
        outputs = [text_in(value) for number, value in parts if number == _NODE_OUTPUT]
        operators = [text_in(value) for number, value in parts if number == OPERATOR]
        rest = b"".join(_encoded(n, v) for n, v in parts if n not in (_NODE_INPUT, _NODE_OUTPUT))
        return cls("".join(operators), inputs, outputs, rest)

    @classmethod
    def cast(cls, source: str, result: str, to: int) -> _Node:
        attribute = encode(_ATTRIBUTE_NAME, b"to") + encode(_ATTRIBUTE_INT, to)
        attribute += encode(_ATTRIBUTE_TYPE, _INT)
        rest = encode(OPERATOR, b"Cast") + encode(_NODE_ATTRIBUTE, attribute)
        return cls("Cast", [source], [result], rest)

    def encoded(self) -> bytes:
        names = [(_NODE_INPUT, self.inputs), (_NODE_OUTPUT, self.outputs)]
        return b"".join(encode(n, name.encode()) for n, all_ in names for name in all_) + self.rest


@dataclass
class _Conversion:
    """The nodes of a graph, one after the other, and what is known of the tensors so far.

    halves: names of float32 tensors to those of the same in float16. floats: the other way.
    computed: tensors that are computed in float16 now.
    """

    source: memoryview
    weights: dict[str, NDArray[np.float32]]
    halves: dict[str, str] = field(default_factory=dict)
    floats: dict[str, str] = field(default_factory=dict)
    computed: set[str] = field(default_factory=set)
    nodes: list[_Node] = field(default_factory=list)
    added: list[bytes] = field(default_factory=list)

    def graph(self) -> bytes:
        """The converted graph."""
        parts = list(fields(self.source))
        given = [_Node.read(message_in(value)) for number, value in parts if number == NODE]
        if any(node.operator == "QuantizeLinear" for node in given):
            raise ModelError("expected a float model for float16, got an int8 one")
        results = {
            text_in(dict(fields(message_in(value))).get(1, memoryview(b"")))
            for number, value in parts
            if number == OUTPUT
        }
        tensors = [message_in(value) for number, value in parts if number == INITIALIZER]
        stored = {tensor_name(tensor) for tensor in tensors if tensor_type(tensor) == FLOAT16}
        for node in given:
            if node.operator == "Cast" and stored.issuperset(node.inputs):
                self.halves |= dict.fromkeys(node.outputs, "".join(node.inputs))
            self._take(node, may_be_half=not results & set(node.outputs))
        kept = _used(self.nodes, results)
        needed = {name for node in kept for name in node.inputs}
        for number, value in parts:
            unused = number == INITIALIZER and tensor_name(message_in(value)) not in needed
            if number not in (NODE, _VALUE_INFO) and not unused:
                self.added.append(_encoded(number, value))
        return b"".join([*(encode(NODE, node.encoded()) for node in kept), *self.added])

    def _take(self, node: _Node, *, may_be_half: bool) -> None:
        """Add a node, in float16 where that is right."""
        meets_half = bool(self.computed & set(node.inputs))
        if node.operator == "Conv" or (node.operator in _ARITHMETIC and meets_half):
            taken = self._half if may_be_half else self._float
            node.inputs = [taken(name) for name in node.inputs]
        elif node.operator in _SHAPING and meets_half and may_be_half:
            pass  # of what it gets
        else:
            may_be_half = False
            node.inputs = [self._float(name) for name in node.inputs]
        self.nodes.append(node)
        if may_be_half:
            self.computed |= set(node.outputs)

    def _half(self, name: str) -> str:
        """The name of a tensor in float16."""
        if not name or name in self.computed:
            return name
        if name not in self.halves:
            self.halves[name] = half = f"{name}_as_half"
            if name in self.weights:
                self.added.append(encode(INITIALIZER, tensor_bytes(half, self._rounded(name))))
            else:
                self.nodes.append(_Node.cast(name, half, FLOAT16))
        return self.halves[name]

    def _rounded(self, name: str) -> NDArray[np.float16]:
        with np.errstate(over="ignore"):
            values = self.weights[name].astype(np.float16)
        if not np.isfinite(values).all():
            raise ModelError(f"expected weights within +-65504 for float16, {name} has larger")
        return values

    def _float(self, name: str) -> str:
        """The name of a tensor in float32, or in what it is when that is no float."""
        if name not in self.computed:
            return name
        if name not in self.floats:
            self.floats[name] = f"{name}_as_float"
            self.nodes.append(_Node.cast(name, self.floats[name], FLOAT32))
        return self.floats[name]


def _used(nodes: Iterable[_Node], results: set[str]) -> list[_Node]:
    """The nodes that the results depend on, in their order."""
    needed, kept = set(results), []
    for node in reversed(list(nodes)):
        if needed & set(node.outputs):
            kept.append(node)
            needed |= set(node.inputs)
    return kept[::-1]


def _encoded(number: int, value: Value) -> bytes:
    return encode(number, value if isinstance(value, int) else bytes(value))
