# SPDX-License-Identifier: Apache-2.0
"""A trainable network from an exported model file, whose normalisations are folded away."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headpose_core.errors import ModelError
from headpose_core.onnx_files.onnx_file import read_model_file
from headpose_core.pose.networks.blocks import conv_bn_pairs
from headpose_core.pose.networks.from_file import read_network
from headpose_core.pose.networks.network import HeadPoseNet


def restore_network(path: Path, crops: NDArray[np.uint8]) -> HeadPoseNet:
    """Network that computes what the model file does, with working normalisations.

    crops: some (N, 112, 112, 3) uint8 of the training data. The export folded each
    normalisation into its convolution; here each gets the statistics of these crops, and the
    scale and shift that undo it, so that training starts from what the file knows.
    Raises ModelError when the file is quantised or of no known backbone.
    """
    try:
        folded = read_network(read_model_file(path))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    network = HeadPoseNet(folded.config)
    network.load_state_dict(folded.state_dict(), strict=False)  # all but the folded biases
    for name, _, norm in conv_bn_pairs(network):
        conv = cast(nn.Conv2d, folded.get_submodule(f"{name}.0"))
        _undo_when_called(norm, cast(Tensor, conv.bias))
    with torch.inference_mode():
        network.eval()(torch.from_numpy(crops))
    return network


def _undo_when_called(norm: nn.BatchNorm2d, bias: Tensor) -> None:
    """At its next call, give a normalisation its input's statistics and let it add `bias` only."""

    def calibrate(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        mean = inputs[0].mean(dim=(0, 2, 3))
        variance = inputs[0].var(dim=(0, 2, 3))
        cast(Tensor, norm.running_mean).copy_(mean)
        cast(Tensor, norm.running_var).copy_(variance)
        norm.weight.data.copy_((variance + norm.eps).sqrt())
        norm.bias.data.copy_(bias + mean)
        handle.remove()

    handle = norm.register_forward_pre_hook(calibrate)
