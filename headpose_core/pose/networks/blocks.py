# SPDX-License-Identifier: Apache-2.0
"""Residual blocks: feature maps (N, `inputs`, H, W) to (N, `outputs`, H / stride, W / stride).

Every block is made by `Block(inputs, width, stride)` and starts as the identity (or its
projection): the last normalisation of its residual branch has scale zero, so that deep networks
take a high learning rate from the first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution that keeps the size (divided by `stride`), then batch normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def conv_bn_pairs(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Each `conv_bn` of a network: its name and its two layers."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Sequential) and len(module) == 2:
            conv, norm = module
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                yield name, conv, norm


def zero_initialised(branch_end: nn.Sequential) -> nn.Sequential:
    """The same `conv_bn` with a normalisation of scale zero (Goyal et al. 2017, section 5.1)."""
    nn.init.zeros_(cast(nn.BatchNorm2d, branch_end[1]).weight)
    return branch_end


def projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Shortcut of a block: the identity where the shape stays, else a 1x1 convolution."""
    same_shape = stride == 1 and inputs == outputs
    return nn.Identity() if same_shape else conv_bn(inputs, outputs, 1, stride)


class ResidualBlock(nn.Module):
    """A residual branch beside a shortcut (He et al. 2016, Fig. 2)."""

    outputs: int
    shortcut: nn.Module

    def residual(self, features: Tensor) -> Tensor:
        """The branch that is added to the shortcut."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.residual(features) + self.shortcut(features))


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions (He et al. 2016, Fig. 5 left). `outputs` = `width`."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.outputs = width
        self.conv1 = conv_bn(inputs, width, 3, stride)
        self.conv2 = zero_initialised(conv_bn(width, width, 3))
        self.shortcut = projection(inputs, width, stride)

    def residual(self, features: Tensor) -> Tensor:
        branch: Tensor = self.conv2(functional.relu(self.conv1(features)))
        return branch


class Bottleneck(ResidualBlock):
    """1x1, 3x3, 1x1 convolution (He et al. 2016, Fig. 5 right). `outputs` = 4 `width`.

    The 3x3 convolution has the stride, not the first one: all of the input is seen.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.outputs = 4 * width
        self.conv1 = conv_bn(inputs, width, 1)
        self.conv2 = conv_bn(width, width, 3, stride)
        self.conv3 = zero_initialised(conv_bn(width, self.outputs, 1))
        self.shortcut = projection(inputs, self.outputs, stride)

    def residual(self, features: Tensor) -> Tensor:
        narrow = functional.relu(self.conv1(features))
        branch: Tensor = self.conv3(functional.relu(self.conv2(narrow)))
        return branch


class Res2NetBlock(ResidualBlock):
    """A bottleneck whose 3x3 convolution is a chain over four parts of its channels.

    Gao et al. 2021, Fig. 2 and Eq. 1: each part but the last is convolved, after the part
    before it was added, so that one block sees several sizes. 26 channels a part at width 64
    (26w x 4s). A block that changes the shape convolves its parts apart and pools the last one,
    as in the authors' published networks. `outputs` = 4 `width`.
    """

    SCALES = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.outputs = 4 * width
        self.stride = stride
        self.part = part = 26 * width // 64
        self.conv1 = conv_bn(inputs, self.SCALES * part, 1)
        self.parts = nn.ModuleList(conv_bn(part, part, 3, stride) for _ in range(self.SCALES - 1))
        self.conv3 = zero_initialised(conv_bn(self.SCALES * part, self.outputs, 1))
        self.shortcut = projection(inputs, self.outputs, stride)
        self.chained = isinstance(self.shortcut, nn.Identity)

    def residual(self, features: Tensor) -> Tensor:
        narrow = functional.relu(self.conv1(features))
        *convolved, last = torch.split(narrow, self.part, dim=1)
        done: list[Tensor] = []
        for conv, part in zip(self.parts, convolved, strict=True):
            joined = part + done[-1] if self.chained and done else part
            done.append(functional.relu(conv(joined)))
        if not self.chained:
            last = functional.avg_pool2d(last, 3, self.stride, 1)
        branch: Tensor = self.conv3(torch.cat([*done, last], dim=1))
        return branch
