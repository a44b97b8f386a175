# SPDX-License-Identifier: Apache-2.0
"""Small networks in the state of a trained one, and crops to put through them."""

from __future__ import annotations

import torch

from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig


def some_crops(size: int = 112) -> torch.Tensor:
    """Four crops (4, size, size, 3) of noise, always the same."""
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (4, size, size, 3), dtype=torch.uint8, generator=generator)


def trained(config: NetworkConfig, crops: torch.Tensor | None = None) -> HeadPoseNet:
    """A network whose normalisations and branches are not at their initial values.

    crops: what the normalisations have their statistics from, by default `some_crops`.
    """
    torch.manual_seed(1)
    network = HeadPoseNet(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    network.train()(some_crops() if crops is None else crops)
    return network.eval()
