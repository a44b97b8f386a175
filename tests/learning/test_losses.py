# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
import torch

from headpose_core.bins import NUM_BINS
from headpose_core.learning.losses import (
    HardLossConfig,
    expectation_deg,
    hard_loss,
    label_distribution,
)


def logits_at(*bins: int, height: float = 100.0) -> torch.Tensor:
    """Scores (1, 3, 62) with one high bin for each angle."""
    logits = torch.zeros(1, 3, NUM_BINS)
    for angle, chosen in enumerate(bins):
        logits[0, angle, chosen] = height
    return logits


def test_expectation_is_the_centre_of_a_certain_bin() -> None:
    expected = torch.tensor([[-91.5, 1.5, 91.5]])
    torch.testing.assert_close(expectation_deg(logits_at(0, 31, 61)), expected)


def test_hard_loss_of_even_logits_by_hand() -> None:
    # Even logits: cross-entropy log 62 for each angle, expectation 0.
    losses = hard_loss(
        torch.zeros(2, 3, NUM_BINS),
        torch.tensor([[3.0, 0.0, -4.0], [0.0, 12.0, 0.0]]),
        HardLossConfig(mse_weight=0.1),
    )
    assert losses["cross_entropy"].item() == pytest.approx(3 * math.log(62), rel=1e-5)
    assert losses["squared_error"].item() == pytest.approx((9 + 16 + 144) / 2, rel=1e-5)
    total = 3 * math.log(62) + 0.1 * (9 + 16 + 144) / 2
    assert losses["loss"].item() == pytest.approx(total, rel=1e-5)


def test_hard_loss_of_two_bins_by_hand() -> None:
    # Yaw: bins 30 and 31 (-1.5 and 1.5) with odds 1 : 3, label 1.5. Pitch and roll are certain.
    logits = logits_at(0, 31, 31)
    logits[0, 0] = -1e4
    logits[0, 0, 30], logits[0, 0, 31] = 0.0, math.log(3.0)
    losses = hard_loss(logits, torch.tensor([[1.5, 1.5, 1.5]]), HardLossConfig(mse_weight=1.0))
    assert losses["cross_entropy"].item() == pytest.approx(-math.log(0.75), rel=1e-5)
    assert losses["squared_error"].item() == pytest.approx(0.75**2, rel=1e-4)


def test_a_label_beyond_the_bins_belongs_to_the_edge_bin() -> None:
    losses = hard_loss(logits_at(61, 0, 31), torch.tensor([[98.0, -98.0, 1.5]]), HardLossConfig())
    assert losses["loss"].item() == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("sigma_deg", [2.0, 4.0])
def test_a_soft_label_has_the_mean_and_the_spread_that_were_asked_for(sigma_deg: float) -> None:
    angles = torch.tensor([[10.3, -40.0, 0.0]], dtype=torch.float64)
    target = label_distribution(angles, sigma_deg)
    centres = -91.5 + 3 * torch.arange(NUM_BINS, dtype=torch.float64)
    mean = target @ centres
    spread = ((target * (centres - mean.unsqueeze(-1)) ** 2).sum(-1)).sqrt()
    torch.testing.assert_close(target.sum(-1), torch.ones(1, 3, dtype=torch.float64))
    torch.testing.assert_close(mean, angles, atol=0.05, rtol=0)
    torch.testing.assert_close(spread, torch.full_like(spread, sigma_deg), atol=0.05, rtol=0)


def test_the_loss_falls_along_its_gradient() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 3, NUM_BINS, requires_grad=True)
    labels = torch.rand(4, 3) * 120 - 60
    for sigma in (0.0, 3.0):
        config = HardLossConfig(label_sigma_deg=sigma)
        before = hard_loss(logits, labels, config)["loss"]
        (gradient,) = torch.autograd.grad(before, logits)
        after = hard_loss(logits - 0.1 * gradient, labels, config)["loss"]
        assert after < before
