# SPDX-License-Identifier: Apache-2.0
"""Small model files for tests: a valid one, and one for each way of being wrong.

The network is real ONNX and runs in ONNX Runtime. It reads the mean brightness of each channel of
a crop and puts all its weight on one bin: brighter red turns yaw up, green pitch, blue roll, so
that a test can ask for a pose by painting a face. Bin of a channel of mean brightness b
(0..255): about b / 255 * 61.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from headpose_core.pose.bins import NUM_BINS
from headpose_core.pose.model_file import ModelMetadata

METADATA = ModelMetadata(
    name="tiny",
    version="0.0.1",
    temperature=np.array([1.0, 1.5, 2.0]),
    training_data="none",
    licence="Apache-2.0",
    metrics={"aflw2000": {"mae": 90.0}},
    git_hash="0" * 40,
)


def tiny_model(
    *,
    size: int = 112,
    bins: int = NUM_BINS,
    input_name: str = "crops",
    output_name: str = "logits",
    batch: str | int = "N",
    sharpness: float = 1.0,
    properties: dict[str, str] | None = None,
) -> onnx.ModelProto:
    """A model that keeps the contract unless an argument says otherwise.

    sharpness: how fast the logits fall off beside the best bin; 1 spreads over about a bin.
    properties: metadata_props, by default those of ``METADATA``.
    """
    grid = np.arange(bins, dtype=np.float32)
    constants = {
        "last": np.array([2], np.int64),
        "scale": np.float32((bins - 1) / 255.0),
        "grid": grid,
        "fall": np.float32(-sharpness / 2),
    }
    nodes = [
        helper.make_node("Cast", [input_name], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["position"]),
        helper.make_node("Unsqueeze", ["position", "last"], ["column"]),
        helper.make_node("Sub", ["grid", "column"], ["distance"]),
        helper.make_node("Mul", ["distance", "distance"], ["squared"]),
        helper.make_node("Mul", ["squared", "fall"], [output_name]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(input_name, TensorProto.UINT8, [batch, size, size, 3])],
            [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, [batch, 3, bins])],
            [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    helper.set_model_props(model, METADATA.to_properties() if properties is None else properties)
    onnx.checker.check_model(model)
    return model


def write_tiny_model(path: Path, **options: object) -> Path:
    """Write ``tiny_model(**options)`` and give back its path."""
    path.write_bytes(tiny_model(**options).SerializeToString())  # type: ignore[arg-type]
    return path


def write_external_model(path: Path) -> Path:
    """A valid model that keeps one tensor in a second file beside it."""
    model = tiny_model()
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location=f"{path.name}.data",
        size_threshold=0,
        convert_attribute=False,
    )
    return path
