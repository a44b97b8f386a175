# SPDX-License-Identifier: Apache-2.0
"""Image backbones in plain PyTorch: (N, 3, H, W) float images to (N, C) features.

All of them are residual networks of four stages, and `BACKBONES` says what tells them apart:
the block, how many of it, and how wide. A backbone ends in a global average pool, so it takes
any crop size from 32 up (botnet101: to 112), and states the width of its output in
`num_features`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from headpose_core.images.crop import CROP_SIZE
from headpose_core.pose.networks.blocks import (
    BasicBlock,
    Bottleneck,
    Res2NetBlock,
    ResidualBlock,
    conv_bn,
)
from headpose_core.pose.networks.self_attention import AttentionBlock

Block = Callable[[int, int, int], ResidualBlock]
STAGES = 4


@dataclass(frozen=True)
class Architecture:
    """What makes a residual network; the stages have `width` times 1, 2, 4 and 8."""

    block: Block
    depths: tuple[int, ...]
    """Blocks of each stage."""
    width: int = 64
    stem: int = 7
    """Side of the first convolution."""
    last_block: Block | None = None
    """Block of the last stage, where it is another one."""
    last_stride: int = 2
    """Stride of the last stage."""


BACKBONES = {
    # The student of EHPNet (section 3.2), then its three teachers.
    "resnet18": Architecture(BasicBlock, (2, 2, 2, 2)),
    "resnet101": Architecture(Bottleneck, (3, 4, 23, 3)),
    "res2net101": Architecture(Res2NetBlock, (3, 4, 23, 3)),
    # Stride 1 in the last stage is what its authors use on small images (BoTNet-S1, section
    # 4.8): attention gets 7x7 positions of a crop of 112, and not 4x4.
    "botnet101": Architecture(
        Bottleneck,
        (3, 4, 23, 3),
        last_block=partial(AttentionBlock, side=CROP_SIZE // 16),
        last_stride=1,
    ),
    # For small machines (the paper's future work). Time of a crop in ONNX Runtime on one core,
    # and multiply-adds, against resnet18: lite 0.24 and 0.24; with the 7x7 stem 0.26 and 0.27;
    # MobileNetV2 0.20 and 0.17. Depthwise convolutions save less time than they promise, and
    # only this one can be widened into a resnet18 that computes the same (`widen`), so that
    # what is learned cheaply on it is not lost.
    "lite": Architecture(BasicBlock, (2, 2, 2, 2), width=32, stem=3),
}


class Backbone(nn.Module):
    """Images (N, 3, H, W) to features (N, `num_features`)."""

    num_features: int


class ResNet(Backbone):
    """Residual network (He et al. 2016) of an architecture."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.width
        self.stem = conv_bn(3, width, architecture.stem, stride=2)
        blocks = [architecture.block] * (STAGES - 1)
        blocks.append(architecture.last_block or architecture.block)
        strides = (1, 2, 2, architecture.last_stride)
        stages, channels = [], width
        for index, (block, stride) in enumerate(zip(blocks, strides, strict=True)):
            stage = []
            for position in range(architecture.depths[index]):
                stage.append(block(channels, width << index, 1 if position else stride))
                channels = stage[-1].outputs
            stages.append(nn.Sequential(*stage))
        self.stages = nn.Sequential(*stages)
        self.num_features = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        features = functional.relu(self.stem(images))
        features = functional.max_pool2d(features, 3, 2, 1)
        features = self.stages(features)
        return torch.mean(features, dim=(2, 3))


def architecture_of(name: str, width: int = 0, depths: tuple[int, ...] = ()) -> Architecture:
    """Architecture of a backbone, with another width or other depths where they are given.

    Raises ValueError for a name that is not in `BACKBONES`, a negative width and depths that
    are not four positive numbers.
    """
    if name not in BACKBONES:
        known = ", ".join(sorted(BACKBONES))
        raise ValueError(f"expected a backbone out of: {known}; got {name!r}")
    published = BACKBONES[name]
    chosen = replace(
        published, width=width or published.width, depths=tuple(depths) or published.depths
    )
    if chosen.width < 1 or len(chosen.depths) != STAGES or min(chosen.depths) < 1:
        raise ValueError(
            f"expected a width of 1 or more and {STAGES} depths of 1 or more, got width {width} "
            f"and depths {tuple(depths)}"
        )
    return chosen
