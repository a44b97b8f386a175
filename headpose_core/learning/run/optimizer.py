# SPDX-License-Identifier: Apache-2.0
"""How the weights move: optimizer, learning rate, moving average."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass(frozen=True)
class OptimizerConfig:
    """The defaults are the paper's (section 4.1)."""

    name: Literal["adam", "adamw"] = "adam"
    lr: float = 1e-4
    """Highest learning rate; it falls to nothing along a cosine."""
    weight_decay: float = 0.0
    warmup: float = 0.0
    """Share of the run over which the learning rate rises from zero."""
    clip_norm: float = 0.0
    """Largest norm of the gradient; 0 leaves it alone."""
    ema_decay: float = 0.0
    """Decay per step of the averaged weights, which are then the result; 0 for none."""


def learning_rate(config: OptimizerConfig, progress: float) -> float:
    """Linear rise, then half a cosine, at a `progress` of the run between 0 and 1."""
    rise = min(1.0, progress / config.warmup) if config.warmup > 0 else 1.0
    return config.lr * rise * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def make_optimizer(config: OptimizerConfig, network: nn.Module) -> torch.optim.Optimizer:
    """Adam or AdamW; weight decay spares biases and the scales of normalisations."""
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr)
    return torch.optim.Adam(groups, lr=config.lr)


def make_average(network: nn.Module, decay: float) -> AveragedModel:
    """Moving average of the weights, with a shorter memory in the first steps."""

    def average(means: Tensors, values: Tensors, steps: Tensor | int) -> None:
        memory = min(decay, (1.0 + int(steps)) / (10.0 + int(steps)))
        if means[0].is_floating_point():
            torch._foreach_lerp_(means, values, 1.0 - memory)
        else:
            torch._foreach_copy_(means, values)

    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)
