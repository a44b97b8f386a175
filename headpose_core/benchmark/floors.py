# SPDX-License-Identifier: Apache-2.0
"""What no program on this core can beat: copying the bytes, doing the multiply-adds."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headpose_core.benchmark.timing import interleaved
from headpose_core.onnx_files.protobuf import encode
from headpose_core.onnx_files.sessions import import_onnxruntime, open_session, session_options

_SIDE = 512  # of the matrices: they and their product fit into a core's caches
_FLOAT, _UINT8, _INT8, _INT32 = 1, 2, 3, 6  # element types of onnx.proto


@dataclass(frozen=True)
class Floors:
    """One core's peak: multiply-adds a millisecond in fp32 and in int8, bytes a millisecond."""

    fp32: float
    int8: float
    copy: float

    def compute_ms(self, multiply_adds: float, precision: str, threads: int) -> float:
        """The least time for so many multiply-adds on so many cores.

        NaN in another precision than fp32 and int8: its peak is not measured.
        """
        peak = {"fp32": self.fp32, "int8": self.int8}.get(precision, math.nan)
        return multiply_adds / peak / threads

    def copy_ms(self, count: float) -> float:
        """The least time to copy so many bytes."""
        return count / self.copy


def measure_floors(image_bytes: int, seconds: float = 1.0) -> Floors:
    """This core's peak: large matrix products in ONNX Runtime, a copy of ``image_bytes``."""
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 100, (_SIDE, _SIDE), np.uint8) for _ in range(2))
    source, target = (np.ones(image_bytes, np.uint8) for _ in range(2))
    times = interleaved(
        {
            "fp32": _product("MatMul", a.astype(np.float32), b.astype(np.float32)),
            "int8": _product("MatMulInteger", a, b.astype(np.int8)),
            "copy": lambda: np.copyto(target, source),
        },
        seconds,
    )
    return Floors(
        _SIDE**3 / times["fp32"].best,
        _SIDE**3 / times["int8"].best,
        image_bytes / times["copy"].best,
    )


def multiply_adds(data: bytes, feed: Mapping[str, NDArray[Any]]) -> int:
    """Multiply-adds of the convolutions and matrix products of an ONNX model for one input.

    Counted from the shapes that ONNX Runtime reports of a run, with no optimisation.
    """
    ort = import_onnxruntime()
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(1)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        # Weights that are packed beforehand are not in the report.
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        session.run(None, dict(feed))
        events = json.loads(Path(session.end_profiling()).read_text())
    return sum(_work(event["args"]) for event in events if "output_type_shape" in event["args"])


def _work(node: dict[str, Any]) -> int:
    """Multiply-adds of one node, from its shapes: an output value takes a row of the weights."""
    if node.get("op_name") not in ("Conv", "Gemm", "MatMul"):
        return 0
    (output,) = node["output_type_shape"][0].values()
    (weight,) = node["input_type_shape"][1].values()
    row = weight[1:] if node["op_name"] == "Conv" else [np.prod(weight) // output[-1]]
    return int(np.prod(output) * np.prod(row))


def _product(operator: str, a: NDArray[Any], b: NDArray[Any]) -> Callable[[], list[NDArray[Any]]]:
    """A function that multiplies two square matrices; the second one is known beforehand."""
    model = _matrix_model(operator, b)
    session = open_session(model)
    return lambda: session.run(None, {"a": a})


def _matrix_model(operator: str, b: NDArray[Any]) -> bytes:
    """An ONNX model of one matrix product with the constant ``b``."""
    kinds = {"float32": _FLOAT, "uint8": _UINT8, "int8": _INT8}
    integer = operator == "MatMulInteger"
    shape = encode(1, encode(1, _SIDE)) * 2

    def value(name: str, kind: int) -> bytes:
        tensor = encode(1, encode(1, kind) + encode(2, shape))
        return encode(1, name.encode()) + encode(2, tensor)

    constant = encode(1, _SIDE) * 2 + encode(2, kinds[b.dtype.name])
    constant += encode(8, b"b") + encode(9, b.tobytes())
    node = encode(1, b"a") + encode(1, b"b") + encode(2, b"c") + encode(4, operator.encode())
    graph = encode(1, node) + encode(2, b"product") + encode(5, constant)
    graph += encode(11, value("a", _UINT8 if integer else _FLOAT))
    graph += encode(12, value("c", _INT32 if integer else _FLOAT))
    return encode(1, 8) + encode(7, graph) + encode(8, encode(1, b"") + encode(2, 17))
