# SPDX-License-Identifier: Apache-2.0
"""A trainable network from an exported model file, whose normalisations are folded away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from headpose_core.learning.export.model_export import HALF_SUFFIX
from headpose_core.pose.networks.backbones import BACKBONES
from headpose_core.pose.networks.blocks import conv_bn_pairs
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig

Tensors = dict[str, Tensor]


def restore_network(path: Path, crops: NDArray[np.uint8]) -> HeadPoseNet:
    """Network that computes what the model file does, with working normalisations.

    crops: some (N, 112, 112, 3) uint8 of the training data. The export folded each
    normalisation into its convolution; here each gets the statistics of these crops, and the
    scale and shift that undo it, so that training starts from what the file knows.
    Raises ValueError when the file is of no backbone that is made of convolutions only.
    """
    tensors = {
        tensor.name.removesuffix(HALF_SUFFIX): torch.tensor(numpy_helper.to_array(tensor)).float()
        for tensor in onnx.load(path).graph.initializer
    }
    network = HeadPoseNet(_config_of(path, tensors))
    network.classifiers.weight.data.copy_(tensors["classifiers.weight"])
    network.classifiers.bias.data.copy_(tensors["classifiers.bias"])
    for name, conv, norm in conv_bn_pairs(network):
        conv.weight.data.copy_(tensors[f"{name}.0.weight"])
        _undo_when_called(norm, tensors[f"{name}.0.bias"])
    with torch.inference_mode():
        network.eval()(torch.from_numpy(crops))
    return network


def _config_of(path: Path, tensors: Tensors) -> NetworkConfig:
    """The network whose folded layers are those of the file: all of them, and no others."""
    present = {name: one.shape for name, one in tensors.items() if name.startswith("backbone.")}
    blocks = {tuple(map(int, name.split(".")[2:4])) for name in present if ".stages." in name}
    depths = tuple(sum(stage == index for stage, _ in blocks) for index in range(4))
    width = len(tensors.get("backbone.stem.0.weight", ()))
    if width and all(depths):
        for backbone in BACKBONES:
            config = NetworkConfig(backbone, width, depths)
            with torch.device("meta"):
                if _folded_shapes(HeadPoseNet(config)) == present:
                    return config
    raise ValueError(
        f"expected a model exported from one of {', '.join(BACKBONES)} without attention in "
        f"{path}, got other layers: {', '.join(sorted(present)) or 'none of a backbone'}"
    )


def _folded_shapes(network: HeadPoseNet) -> dict[str, torch.Size]:
    """Shapes of the convolutions that have a normalisation in them."""
    shapes = {}
    for name, conv, norm in conv_bn_pairs(network):
        shapes[f"{name}.0.weight"] = conv.weight.shape
        shapes[f"{name}.0.bias"] = norm.bias.shape
    return shapes


def _undo_when_called(norm: nn.BatchNorm2d, bias: Tensor) -> None:
    """At its next call, give a normalisation its input's statistics and let it add `bias` only."""

    def calibrate(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        mean = inputs[0].mean(dim=(0, 2, 3))
        variance = inputs[0].var(dim=(0, 2, 3))
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]
        norm.weight.data.copy_((variance + norm.eps).sqrt())
        norm.bias.data.copy_(bias + mean)
        handle.remove()

    handle = norm.register_forward_pre_hook(calibrate)
