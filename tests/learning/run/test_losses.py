# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
import torch

from headpose_core.learning.run.losses import (
    DistillLossConfig,
    HardLossConfig,
    distill_loss,
    ensemble_probabilities,
    expectation_deg,
    hard_loss,
    label_distribution,
    mirror_divergence,
    mirror_logits,
)
from headpose_core.pose.bins import NUM_BINS


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
def test_a_soft_label_has_the_mean_and_spread_asked_for(sigma_deg: float) -> None:
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


def two_bins(*odds: tuple[float, float]) -> torch.Tensor:
    """Scores (1, 3, 62) of yaw, pitch, roll with given odds of bins 30 and 31 and no others."""
    logits = torch.full((1, 3, NUM_BINS), -1e4)
    for angle, pair in enumerate(odds):
        logits[0, angle, 30], logits[0, angle, 31] = math.log(pair[0]), math.log(pair[1])
    return logits


EVEN, ONE_TO_THREE, ONE_TO_NINE = (1.0, 1.0), (1.0, 3.0), (1.0, 9.0)


def test_teachers_are_averaged_as_probabilities() -> None:
    # (1/4, 3/4) and (1/2, 1/2): the mean is 3/8. Averaged logits would give 0.366.
    teachers = [two_bins(ONE_TO_THREE, EVEN, EVEN), two_bins(EVEN, EVEN, EVEN)]
    mean = ensemble_probabilities(teachers)
    assert mean.shape == (1, 3, NUM_BINS)
    assert mean[0, 0, 30:32].tolist() == pytest.approx([0.375, 0.625])
    assert mean[0, 1, 30:32].tolist() == pytest.approx([0.5, 0.5])
    torch.testing.assert_close(mean.sum(-1), torch.ones(1, 3))


def test_the_temperature_applies_to_each_teacher() -> None:
    # At temperature 2 odds of 1 : 9 become 1 : 3. Averaging first, (0.3, 0.7), and then taking
    # roots would give 0.396.
    teachers = [two_bins(ONE_TO_NINE, EVEN, EVEN), two_bins(EVEN, EVEN, EVEN)]
    mean = ensemble_probabilities(teachers, temperature=2.0)
    assert mean[0, 0, 30:32].tolist() == pytest.approx([0.375, 0.625])


def test_an_ensemble_needs_a_teacher() -> None:
    with pytest.raises(ValueError, match="one teacher or more"):
        ensemble_probabilities([])


def test_mirrored_logits_are_those_of_the_mirrored_head() -> None:
    logits = torch.randn(2, 3, NUM_BINS)
    expected = expectation_deg(logits) * torch.tensor([-1.0, 1.0, -1.0])
    torch.testing.assert_close(expectation_deg(mirror_logits(logits)), expected)
    torch.testing.assert_close(mirror_logits(mirror_logits(logits)), logits)


def test_who_agrees_about_the_mirror_image_does_not_diverge() -> None:
    logits = torch.randn(2, 3, NUM_BINS)
    both = torch.cat([logits, mirror_logits(logits)])
    assert mirror_divergence(both).item() == pytest.approx(0.0, abs=1e-6)
    assert mirror_divergence(torch.cat([logits, logits])).item() > 0.1


def test_mirror_divergence_by_hand() -> None:
    # Pitch in bins 30 and 31: odds of 1 : 3 in the view, of 3 : 1 in its mirror image, 1 : 1 in
    # the mean; and nothing is known of yaw and roll.
    logits = torch.zeros(2, 3, NUM_BINS)
    logits[:, 1] = -1e4
    logits[0, 1, 30:32] = torch.tensor([0.0, math.log(3.0)])
    logits[1, 1, 30:32] = torch.tensor([math.log(3.0), 0.0])
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert mirror_divergence(logits).item() == pytest.approx(expected, rel=1e-5)


def test_divergence_by_hand() -> None:
    # Teachers (1/2, 1/2), student (1/4, 3/4): ln(2)/2 + ln(2/3)/2 = 0.1438410 for yaw.
    # The other way round for pitch: ln(1/2)/4 + 3 ln(3/2)/4 = 0.1308120. Roll agrees.
    teachers = ensemble_probabilities([two_bins(EVEN, ONE_TO_THREE, ONE_TO_NINE)])
    student = two_bins(ONE_TO_THREE, EVEN, ONE_TO_NINE)
    losses = distill_loss(student, teachers, None, DistillLossConfig())
    assert losses["divergence"].item() == pytest.approx(0.2746530, rel=1e-5)
    assert losses["loss"] is losses["divergence"]
    # A second face on which all agree halves the mean.
    both = distill_loss(
        torch.cat([student, two_bins(EVEN, EVEN, EVEN)]),
        torch.cat([teachers, ensemble_probabilities([two_bins(EVEN, EVEN, EVEN)])]),
        None,
        DistillLossConfig(),
    )
    assert both["loss"].item() == pytest.approx(0.1373265, rel=1e-5)


def test_divergence_at_a_temperature_by_hand() -> None:
    # At temperature 2: teachers (3/8, 5/8), student (1/2, 1/2), so
    # 3/8 ln(3/4) + 5/8 ln(5/4) = 0.0315840, times 2 squared.
    pair = [two_bins(ONE_TO_NINE, EVEN, EVEN), two_bins(EVEN, EVEN, EVEN)]
    teachers = ensemble_probabilities(pair, temperature=2.0)
    student = two_bins(EVEN, EVEN, EVEN)
    losses = distill_loss(student, teachers, None, DistillLossConfig(temperature=2.0))
    assert losses["loss"].item() == pytest.approx(0.1263360, rel=1e-4)


def test_the_gradient_pulls_the_student_to_the_teachers() -> None:
    # d KL / d logit is student minus teachers: (1/4 - 1/2, 3/4 - 1/2).
    student = two_bins(ONE_TO_THREE, EVEN, EVEN).requires_grad_()
    teachers = ensemble_probabilities([two_bins(EVEN, EVEN, EVEN)])
    loss = distill_loss(student, teachers, None, DistillLossConfig())["loss"]
    (gradient,) = torch.autograd.grad(loss, student)
    assert gradient[0, 0, 30:32].tolist() == pytest.approx([-0.25, 0.25])
    assert gradient[0, 1].abs().max().item() == pytest.approx(0.0, abs=1e-6)


def test_labels_beside_the_teachers_by_hand() -> None:
    # Yaw as above; hard part: cross-entropy -ln(3/4) = 0.2876821, expectation 0.75 against
    # 1.5, squared error 0.5625, weighted 0.1. Pitch and roll are certain and right.
    certain = (1e-30, 1.0)
    student = two_bins(ONE_TO_THREE, certain, certain)
    teachers = ensemble_probabilities([two_bins(EVEN, certain, certain)])
    config = DistillLossConfig(hard_weight=0.5, hard=HardLossConfig(mse_weight=0.1))
    losses = distill_loss(student, teachers, torch.tensor([[1.5, 1.5, 1.5]]), config)
    assert losses["divergence"].item() == pytest.approx(0.1438410, rel=1e-5)
    assert losses["cross_entropy"].item() == pytest.approx(0.2876821, rel=1e-5)
    assert losses["squared_error"].item() == pytest.approx(0.5625, rel=1e-4)
    # 0.1438410 + 0.5 (0.2876821 + 0.1 * 0.5625)
    assert losses["loss"].item() == pytest.approx(0.3158070, rel=1e-5)
    with pytest.raises(ValueError, match="expected labels for a hard_weight above 0"):
        distill_loss(student, teachers, None, config)


def test_teachers_of_another_batch_are_refused() -> None:
    # They would broadcast silently.
    with pytest.raises(ValueError, match=r"shape of the logits \(2, 3, 62\), got \(1, 3, 62\)"):
        distill_loss(
            torch.zeros(2, 3, NUM_BINS),
            ensemble_probabilities([torch.zeros(1, 3, NUM_BINS)]),
            None,
            DistillLossConfig(),
        )


@pytest.mark.parametrize(
    "settings", [{"temperature": 0.0}, {"temperature": -1.0}, {"hard_weight": -0.1}]
)
def test_settings_that_turn_the_loss_round_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        DistillLossConfig(**settings)


def test_angles_keep_their_precision_under_autocast() -> None:
    # 88.5 and 91.5 at odds of 6 : 1 are 88.9286, which bfloat16 would round to 89.
    logits = torch.full((1, 3, NUM_BINS), -1e4)
    logits[..., 60], logits[..., 61] = math.log(6.0), 0.0
    with torch.autocast("cpu", torch.bfloat16):
        angles = expectation_deg(logits)
    assert angles.tolist()[0] == pytest.approx([88.5 + 3 / 7] * 3, abs=1e-3)
