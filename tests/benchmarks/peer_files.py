# SPDX-License-Identifier: Apache-2.0
"""Small peers, real ONNX: the mean of each channel they get, as three angles or as scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TOML = """
name = "Means"
source = "tests"
licence = "Apache-2.0"
files = [{files}]
[input]
{input}
[output]
{output}
"""


def write_peer(
    folder: Path,
    *,
    size: int = 16,
    scale: float = 1.0,
    offset: float = 0.0,
    bins: int = 0,
    batch: int | str = "N",
    layout: str = "NCHW",
    name: str = "means.onnx",
) -> str:
    """An ONNX file whose output (N, 3) is scale * mean + offset of each channel; its name.

    bins: the output is (N, 3, bins) scores that peak at that number of a bin instead.
    """
    first = layout == "NCHW"
    shape = [batch, 3, size, size] if first else [batch, size, size, 3]
    nodes = [
        helper.make_node(
            "ReduceMean", ["image"], ["mean"], axes=[2, 3] if first else [1, 2], keepdims=0
        ),
        helper.make_node("Mul", ["mean", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["value"]),
    ]
    constants = {"scale": np.float32(scale), "offset": np.float32(offset)}
    output, out_shape = "value", [batch, 3]
    if bins:
        constants |= {
            "last": np.array([2], np.int64),
            "grid": np.arange(bins, dtype=np.float32),
            "fall": np.float32(-0.5),
        }
        nodes += [
            helper.make_node("Unsqueeze", ["value", "last"], ["column"]),
            helper.make_node("Sub", ["grid", "column"], ["distance"]),
            helper.make_node("Mul", ["distance", "distance"], ["squared"]),
            helper.make_node("Mul", ["squared", "fall"], ["scores"]),
        ]
        output, out_shape = "scores", [batch, 3, bins]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "peer",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, out_shape)],
            [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    (folder / name).write_bytes(model.SerializeToString())
    return name


def write_toml(
    folder: Path, *, files: tuple[str, ...] = ("means.onnx",), input: str, output: str
) -> Path:
    """A peer's description beside its files."""
    path = folder / "means.toml"
    names = ", ".join(f'"{name}"' for name in files)
    path.write_text(TOML.format(files=names, input=input, output=output))
    return path
