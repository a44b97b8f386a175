# SPDX-License-Identifier: Apache-2.0
"""Training losses on logits (N, 3, 62) and labels (N, 3) in degrees: yaw, pitch, roll."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from headpose_core.bins import BIN_CENTRES_DEG, NUM_BINS, label_bins


@dataclass(frozen=True)
class HardLossConfig:
    """Weights of the loss against hard labels (paper, Eq. 1 to 3)."""

    mse_weight: float = 0.005
    """Weight of the squared error of the expectation, per degree squared."""
    label_sigma_deg: float = 0.0
    """Spread of the label over neighbouring bins, in degrees; 0 is the paper's one-hot label."""


def bin_centres(like: Tensor) -> Tensor:
    """Bin centres (62,) in degrees, on the device and with the type of `like`."""
    return torch.tensor(BIN_CENTRES_DEG, dtype=like.dtype, device=like.device)


def expectation_deg(logits: Tensor) -> Tensor:
    """Expected angles (N, 3) in degrees of the bin distributions (paper, Eq. 2)."""
    return logits.softmax(dim=-1) @ bin_centres(logits)


def label_distribution(angles_deg: Tensor, sigma_deg: float) -> Tensor:
    """Target distributions (N, 3, 62) of labels (N, 3) in degrees.

    One-hot for `sigma_deg` 0, else a Gaussian around the label. A label beyond the bins goes
    to the edge bin in both.
    """
    if sigma_deg == 0.0:
        bins = torch.from_numpy(label_bins(angles_deg.detach().cpu().numpy()))
        return functional.one_hot(bins, NUM_BINS).to(angles_deg)
    centres = bin_centres(angles_deg)
    distance = centres - clamp_to_bins(angles_deg).unsqueeze(-1)
    return torch.softmax(-0.5 * (distance / sigma_deg) ** 2, dim=-1)


def clamp_to_bins(angles_deg: Tensor) -> Tensor:
    """Angles limited to what an expectation over the bins can reach (+-91.5 degrees)."""
    return angles_deg.clamp(float(BIN_CENTRES_DEG[0]), float(BIN_CENTRES_DEG[-1]))


def hard_loss(logits: Tensor, angles_deg: Tensor, config: HardLossConfig) -> dict[str, Tensor]:
    """Cross-entropy plus weighted squared error of the expectation (paper, Eq. 1 to 3).

    Both are means over the batch and sums over yaw, pitch and roll. Returns scalars: `loss`
    (to minimise), and its parts `cross_entropy` [nat] and `squared_error` [deg^2].
    """
    targets = label_distribution(angles_deg, config.label_sigma_deg)
    cross_entropy = -(targets * logits.log_softmax(dim=-1)).sum(dim=(1, 2)).mean()
    error = expectation_deg(logits) - clamp_to_bins(angles_deg)
    squared_error = error.square().sum(dim=1).mean()
    loss = cross_entropy + config.mse_weight * squared_error
    return {"loss": loss, "cross_entropy": cross_entropy, "squared_error": squared_error}
