# SPDX-License-Identifier: Apache-2.0
"""Image backbones in plain PyTorch: (N, 3, H, W) float images to (N, C) features.

A backbone is fully convolutional up to a global average pool, so it takes any crop size, and
states the width of its output in `num_features`. `BACKBONES` lists them by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution that keeps the size (divided by `stride`), then batch normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Backbone(nn.Module):
    """Images (N, 3, H, W) to features (N, `num_features`)."""

    num_features: int


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, Fig. 5 left)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv_bn(inputs, width, 3, stride)
        self.conv2 = conv_bn(width, width, 3)
        same_shape = stride == 1 and inputs == width
        self.shortcut = nn.Identity() if same_shape else conv_bn(inputs, width, 1, stride)

    def forward(self, images: Tensor) -> Tensor:
        residual = self.conv2(functional.relu(self.conv1(images)))
        return functional.relu(residual + self.shortcut(images))


class ResNet(Backbone):
    """Residual network of four stages; widths are `width` times 1, 2, 4 and 8.

    The last normalisation of every block starts at zero, so that each block starts as the
    identity: deep networks then take a high learning rate from the first step.
    """

    def __init__(
        self, block: type[BasicBlock], depths: tuple[int, ...], width: int = 64, stem: int = 7
    ) -> None:
        super().__init__()
        self.stem = conv_bn(3, width, stem, stride=2)
        stages, channels = [], width
        for index, depth in enumerate(depths):
            blocks = []
            for position in range(depth):
                stride = 2 if index > 0 and position == 0 else 1
                blocks.append(block(channels, width << index, stride))
                channels = (width << index) * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.num_features = channels
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        features = functional.relu(self.stem(images))
        features = functional.max_pool2d(features, 3, 2, 1)
        features = self.stages(features)
        return torch.mean(features, dim=(2, 3))


def initialise(network: nn.Module) -> None:
    """He initialisation of the convolutions, zero scale at the end of each residual branch."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, BasicBlock):
            nn.init.zeros_(cast(nn.BatchNorm2d, module.conv2[1]).weight)


def resnet18(width: int = 64) -> ResNet:
    """ResNet18, the student of EHPNet (section 3.2); 11.2 M parameters at width 64."""
    return ResNet(BasicBlock, (2, 2, 2, 2), width)


def lite(width: int = 32) -> ResNet:
    """Light backbone: ResNet18 of half width with a 3x3 stem, below a quarter of its multiply-adds.

    It can be widened into a ResNet18 that computes the same (`widen`).
    """
    return ResNet(BasicBlock, (2, 2, 2, 2), width, stem=3)


BACKBONES: dict[str, Callable[[int], Backbone]] = {"resnet18": resnet18, "lite": lite}


def make_backbone(name: str, width: int) -> Backbone:
    """Backbone by name.

    Raises ValueError for a name that is not in `BACKBONES`.
    """
    if name not in BACKBONES:
        known = ", ".join(sorted(BACKBONES))
        raise ValueError(f"expected a backbone out of: {known}; got {name!r}")
    return BACKBONES[name](width)
