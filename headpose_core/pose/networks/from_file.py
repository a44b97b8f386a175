# SPDX-License-Identifier: Apache-2.0
"""The network of a model file: which one it is, by the names and shapes of its weights.

The export folds each normalisation into the convolution before it, and stores weights as float16.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import torch
from torch import nn

from headpose_core.errors import ModelError
from headpose_core.onnx_files.onnx_file import describe, read_weights
from headpose_core.pose.networks.backbones import BACKBONES, STAGES
from headpose_core.pose.networks.blocks import conv_bn_pairs
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig

# Weights in float16 have the name of the tensor that they are cast to, and this.
HALF_SUFFIX = "_half"
_BLOCK = re.compile(r"backbone\.stages\.(\d+)\.(\d+)\.")  # stage and position


def read_network(data: bytes) -> HeadPoseNet:
    """The network of a model file, in evaluation mode, without normalisations as there.

    Raises ModelError when the file is broken or quantised, or has none of the known backbones.
    """
    if "QuantizeLinear" in describe(data).operators:
        raise ModelError("expected a float model for PyTorch, got an int8 one")
    weights = read_weights(data)
    tensors = {name.removesuffix(HALF_SUFFIX): torch.from_numpy(v) for name, v in weights.items()}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    for config in _candidates(shapes):
        with torch.device("meta"):  # shapes only
            network = HeadPoseNet(config).eval()
            _fold_away_normalisation(network)
        wanted = network.state_dict()
        # Of batches in training; integers are not read from the file.
        counters = {
            name: torch.tensor(0) for name in wanted if name.endswith(".num_batches_tracked")
        }
        if shapes == {name: wanted[name].shape for name in wanted.keys() - counters.keys()}:
            network.load_state_dict(tensors | counters, assign=True)
            return network
    raise ModelError(
        f"expected a network with one of the backbones {', '.join(BACKBONES)}, got another"
    )


def _candidates(shapes: Mapping[str, torch.Size]) -> list[NetworkConfig]:
    """Networks of every backbone, as wide and as deep as these weights."""
    stem = shapes.get("backbone.stem.0.weight")
    blocks = {found.groups() for name in shapes if (found := _BLOCK.match(name))}
    depths = [sum(stage == str(index) for stage, _ in blocks) for index in range(STAGES)]
    if not stem or not all(depths):
        return []
    return [NetworkConfig(backbone, stem[0], tuple(depths)) for backbone in BACKBONES]


def _fold_away_normalisation(network: HeadPoseNet) -> None:
    """Give each convolution the bias that stands for the normalisation behind it."""
    for name, conv, _ in [*conv_bn_pairs(network)]:
        conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels))
        cast(nn.Sequential, network.get_submodule(name))[1] = nn.Identity()
