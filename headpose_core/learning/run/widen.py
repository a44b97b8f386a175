# SPDX-License-Identifier: Apache-2.0
"""A wide network that starts as a trained narrow one (Net2Net, Chen, Goodfellow, Shlens 2016).

A network of half the width trains four times as fast. Where compute is what is short, most views
are spent on it, and the wide network starts from what it has learned: the same function, with
room to improve. `narrow` is the way back, so that the next round of cheap training can begin
where the last wide network ended.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig

# Spread of the random split between the copies of a channel: without it they would stay equal.
SPLIT_SPREAD = 0.3


# Attention heads and the parts of a Res2Net block are runs of channels that copies would break up.
WIDENABLE = ("lite", "resnet18", "resnet101")


def widen(narrow: HeadPoseNet, config: NetworkConfig, seed: int = 0) -> HeadPoseNet:
    """Network of `config` that computes what `narrow` does, each channel being copied.

    A network that is of `config` already comes back as it is. A `lite` becomes a `resnet18`
    too: its stem is the middle of a larger one. Raises ValueError unless the backbones and
    depths fit and the new width is a multiple.
    """
    old, new = narrow.config, config.completed()
    if old == new:
        return narrow
    if not _fits(old, new):
        raise ValueError(
            f"expected a multiple of {old.width} channels and a backbone that fits to start from "
            f"{old}, got {new}; {', '.join(WIDENABLE)} can be widened, and lite to resnet18"
        )
    wide = HeadPoseNet(config)
    generator = torch.Generator().manual_seed(seed)
    source = narrow.state_dict()
    tensors = {
        name: _spread(source[name], like.shape, generator)
        for name, like in wide.state_dict().items()
    }
    wide.load_state_dict(tensors)
    return wide


def narrow(wide: HeadPoseNet, config: NetworkConfig) -> HeadPoseNet:
    """Network of `config` out of one that was widened: copies of a channel become one again.

    Copies that have parted since are averaged; a stem of 3x3 is the middle of one of 7x7. Of a
    network that was never widened little is left. Raises ValueError where `widen` would, the
    other way round.
    """
    old, new = wide.config, config.completed()
    if not _fits(new, old):
        raise ValueError(
            f"expected a divisor of {old.width} channels and a backbone that fits to start from "
            f"{old}, got {new}; {', '.join(WIDENABLE)} can be narrowed, and resnet18 to lite"
        )
    small = HeadPoseNet(config)
    source = wide.state_dict()
    tensors = {
        name: _gather(source[name], like.shape) for name, like in small.state_dict().items()
    }
    small.load_state_dict(tensors)
    return small.eval()


def _fits(narrow: NetworkConfig, wide: NetworkConfig) -> bool:
    """Whether the one can be widened into the other; both are completed."""
    same = narrow.backbone == wide.backbone and narrow.backbone in WIDENABLE
    fits = same or (narrow.backbone, wide.backbone) == ("lite", "resnet18")
    return fits and narrow.depths == wide.depths and wide.width % narrow.width == 0


def _gather(tensor: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of `_spread`: mean over copied outputs, sum over copied inputs."""
    if tensor.shape == shape:
        return tensor
    tensor = torch.stack(tensor.chunk(tensor.shape[0] // shape[0])).mean(dim=0)
    if tensor.ndim > 1:
        tensor = torch.stack(tensor.chunk(tensor.shape[1] // shape[1], dim=1)).sum(dim=0)
    if tensor.ndim == 4 and shape[-1] < tensor.shape[-1]:
        rim = (tensor.shape[-1] - shape[-1]) // 2
        tensor = tensor[..., rim:-rim, rim:-rim]
    return tensor


def _spread(tensor: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Copy outputs (first dimension) and split weights over copied inputs (second one)."""
    if tensor.shape == shape:
        return tensor
    if tensor.ndim == 4 and shape[-1] > tensor.shape[-1]:
        tensor = functional.pad(tensor, 4 * ((shape[-1] - tensor.shape[-1]) // 2,))
    repeated = tensor.repeat(shape[0] // tensor.shape[0], *(1 for _ in tensor.shape[1:]))
    copies = shape[1] // tensor.shape[1] if tensor.ndim > 1 else 1
    if copies == 1:
        return repeated
    noise = SPLIT_SPREAD * torch.randn((copies, *repeated.shape), generator=generator)
    shares = (1.0 + noise - noise.mean(dim=0)) / copies
    return torch.cat([repeated * share for share in shares], dim=1)
