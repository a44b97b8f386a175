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

from headpose_core.learning.export import HALF_SUFFIX
from headpose_core.learning.network import HeadPoseNet, NetworkConfig


def restore_network(path: Path, backbone: str, crops: NDArray[np.uint8]) -> HeadPoseNet:
    """Network that computes what the model file does, with working normalisations.

    crops: some (N, 112, 112, 3) uint8 of the training data. The export folded each
    normalisation into its convolution; here each gets the statistics of these crops, and the
    scale and shift that undo it, so that training starts from what the file knows.
    Raises ValueError when the file is not of this backbone.
    """
    model = onnx.load(path)
    tensors = {
        tensor.name.removesuffix(HALF_SUFFIX): torch.tensor(numpy_helper.to_array(tensor)).float()
        for tensor in model.graph.initializer
    }
    unused = {name for name in tensors if name.startswith("backbone.")}
    try:
        width = len(tensors["backbone.stem.0.weight"])
        network = HeadPoseNet(NetworkConfig(backbone, width))
        network.classifiers.weight.data.copy_(tensors["classifiers.weight"])
        network.classifiers.bias.data.copy_(tensors["classifiers.bias"])
        for name, module in network.named_modules():
            if not isinstance(module, nn.Sequential) or len(module) != 2:
                continue
            conv, norm = module
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                conv.weight.data.copy_(tensors[f"{name}.0.weight"])
                _undo_when_called(norm, tensors[f"{name}.0.bias"])
                unused -= {f"{name}.0.weight", f"{name}.0.bias"}
        if unused:
            raise RuntimeError(f"it has no place for {sorted(unused)}")
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"expected an exported {backbone} in {path}: {error}") from error
    with torch.inference_mode():
        network.eval()(torch.from_numpy(crops))
    return network


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
