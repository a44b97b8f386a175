# SPDX-License-Identifier: Apache-2.0
"""Weights to a model file: `model_file.py` is the contract that it keeps.

Normalisation layers are folded into the convolutions and weights are stored as float16, which
halves the file; the graph casts them to float32 and computes in it.
"""

from __future__ import annotations

import copy
import io
import warnings
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from headpose_core.images.crop import CROP_SIZE
from headpose_core.output_files import atomic_write
from headpose_core.pose.bins import decode
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.model_file import INPUT, OUTPUT, ModelMetadata
from headpose_core.pose.networks.blocks import conv_bn_pairs
from headpose_core.pose.networks.from_file import HALF_SUFFIX
from headpose_core.pose.networks.network import HeadPoseNet
from headpose_core.types import FloatArray

OPSET = 17
# Largest difference of a logit between PyTorch and the exported file, on the same weights.
PARITY = 1e-4
# Crops that are put through a network at once.
BATCH = 128


def export_model(network: HeadPoseNet, metadata: ModelMetadata, path: Path) -> float:
    """Write the model file of a network; returns its largest difference from PyTorch.

    The difference is that of the logits on test crops, between ONNX Runtime and PyTorch with
    the same rounded weights. Raises RuntimeError, and writes nothing, when it exceeds
    `PARITY`; ValueError when a weight does not fit into float16.
    """
    rounded = round_to_half(fold_normalisation(network)).cpu()
    model = store_as_half(to_onnx(rounded))
    helper.set_model_props(model, metadata.to_properties())
    onnx.checker.check_model(model, full_check=True)
    with atomic_write(path) as unfinished:
        onnx.save_model(model, unfinished)
        difference = difference_of_logits(rounded, unfinished)
        if not difference <= PARITY:
            raise RuntimeError(
                f"expected logits within {PARITY} of PyTorch's, got {difference:.2g}; "
                "a layer is exported wrongly by this version of PyTorch or ONNX Runtime"
            )
    return difference


def fold_normalisation(network: HeadPoseNet) -> HeadPoseNet:
    """A copy in evaluation mode whose convolutions contain the normalisation behind them."""
    folded = copy.deepcopy(network).eval()
    for name, conv, norm in [*conv_bn_pairs(folded)]:
        pair = cast(nn.Sequential, folded.get_submodule(name))
        pair[0], pair[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return folded


def round_to_half(network: HeadPoseNet) -> HeadPoseNet:
    """A copy with every weight at the nearest float16 value, still in float32."""
    rounded = copy.deepcopy(network)
    with torch.no_grad():
        for name, parameter in rounded.named_parameters():
            half = parameter.half().float()
            if not torch.isfinite(half).all():
                raise ValueError(f"expected weights within +-65504, {name} has larger ones")
            parameter.copy_(half)
    return rounded


def to_onnx(network: HeadPoseNet) -> onnx.ModelProto:
    """Traced graph with the contract's input and output names and any number of crops."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, and the only one that needs no further package.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(2, CROP_SIZE, CROP_SIZE, 3, dtype=torch.uint8),),
            buffer,  # type: ignore[arg-type]
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "N"}, OUTPUT: {0: "N"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_model_from_string(buffer.getvalue())


def store_as_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store initialisers that lose nothing by it as float16, each with a cast to float32."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 2:
            continue
        half = values.astype(np.float16)
        if np.array_equal(half.astype(np.float32), values):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(half, name + HALF_SUFFIX))
            cast = helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)
            casts.append(cast)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def difference_of_logits(network: HeadPoseNet, path: Path) -> float:
    """Largest difference between a network and a model file, on smooth and on noisy crops."""
    crops = parity_crops()
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(crops)).numpy()
    model = HeadPoseModel.load(path, device="cpu", backend="onnxruntime")
    return float(np.abs(model.infer(crops) - expected).max())


def angles_by_rounding(
    network: HeadPoseNet, crops: NDArray[np.uint8]
) -> tuple[FloatArray, FloatArray]:
    """Angles (N, 3) in degrees of crops (N, 112, 112, 3): exact weights, and rounded ones."""
    exact = fold_normalisation(network).cpu()
    rounded = round_to_half(exact)
    parts = np.array_split(crops, -(-len(crops) // BATCH))
    with torch.inference_mode():
        before, after = (
            np.concatenate([one(torch.from_numpy(part)).numpy() for part in parts])
            for one in (exact, rounded)
        )
    return decode(before).mean_deg, decode(after).mean_deg


def parity_crops() -> NDArray[np.uint8]:
    """Eight crops (8, 112, 112, 3): brightness ramps under more and more noise."""
    rng = np.random.default_rng(0)
    slope = rng.uniform(-1, 1, (8, 2, 1, 1, 3))
    y, x = np.mgrid[-1 : 1 : CROP_SIZE * 1j, -1 : 1 : CROP_SIZE * 1j]
    ramp = 0.5 + 0.25 * (slope[:, 0] * y[..., None] + slope[:, 1] * x[..., None])
    noise = rng.standard_normal(ramp.shape) * np.linspace(0, 0.3, 8)[:, None, None, None]
    return np.asarray(255 * np.clip(ramp + noise, 0, 1), np.uint8)
