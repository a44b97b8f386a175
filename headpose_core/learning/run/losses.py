# SPDX-License-Identifier: Apache-2.0
"""Training losses on logits (N, 3, 62) and labels (N, 3) in degrees: yaw, pitch, roll.

Every loss is a sum over the three angles and a mean over the batch, is smallest where the
prediction is right, and is a dict of scalars: `loss`, to minimise, and its parts to report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from headpose_core.pose.bins import BIN_CENTRES_DEG, NUM_BINS, label_bins


@dataclass(frozen=True)
class HardLossConfig:
    """Weights of the loss against hard labels (paper, Eq. 1 to 3)."""

    mse_weight: float = 0.005
    """Weight of the squared error of the expectation, per degree squared."""
    label_sigma_deg: float = 0.0
    """Spread of the label over neighbouring bins, in degrees; 0 is the paper's one-hot label."""
    mirror_weight: float = 0.0
    """Weight of the divergence between what is said of a view and of one that is mirrored to it.
    Above 0, a face is seen both ways in one update, which is twice the work; the paper has 0."""


@dataclass(frozen=True)
class DistillLossConfig:
    """Weights of the loss against an ensemble of teachers (paper, Eq. 4 and 5)."""

    temperature: float = 1.0
    """Divides the logits of teachers and student before their softmax; 1 is the paper's."""
    hard_weight: float = 0.0
    """Weight of the loss against the labels, beside the teachers; 0 needs no labels."""
    hard: HardLossConfig = field(default_factory=HardLossConfig)

    def __post_init__(self) -> None:
        if not self.temperature > 0.0:
            raise ValueError(f"temperature: expected more than 0, got {self.temperature}")
        if not self.hard_weight >= 0.0:
            raise ValueError(f"hard_weight: expected 0 or more, got {self.hard_weight}")


def bin_centres(like: Tensor) -> Tensor:
    """Bin centres (62,) in degrees, on the device and with the type of `like`."""
    return torch.tensor(BIN_CENTRES_DEG, dtype=like.dtype, device=like.device)


def expectation_deg(logits: Tensor) -> Tensor:
    """Expected angles (N, 3) in degrees of the bin distributions (paper, Eq. 2)."""
    probabilities = logits.softmax(dim=-1)
    # Not a matrix product: autocast would round it to 8 bits, a third of a degree at 90.
    return (probabilities * bin_centres(probabilities)).sum(dim=-1)


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

    logits: (N, 3, 62). angles_deg: (N, 3); NaN for what is no face, whose target is flat: each bin
    alike. The signs that the paper leaves out are in.
    Parts: `cross_entropy` [nat] and `squared_error` [deg^2].
    """
    known = torch.isfinite(angles_deg).all(dim=1)
    angles_deg = torch.nan_to_num(angles_deg)
    targets = label_distribution(angles_deg, config.label_sigma_deg)
    targets = torch.where(known[:, None, None], targets, 1.0 / NUM_BINS)
    cross_entropy = -(targets * logits.log_softmax(dim=-1)).sum(dim=(1, 2)).mean()
    error = expectation_deg(logits) - clamp_to_bins(angles_deg)
    squared_error = (error.square().sum(dim=1) * known).mean()
    loss = cross_entropy + config.mse_weight * squared_error
    return {"loss": loss, "cross_entropy": cross_entropy, "squared_error": squared_error}


def mirror_logits(logits: Tensor) -> Tensor:
    """Logits (N, 3, 62) of the mirrored head: (-yaw, pitch, -roll)."""
    yaw, pitch, roll = logits.unbind(dim=1)
    return torch.stack([yaw.flip(-1), pitch, roll.flip(-1)], dim=1)


def mirror_divergence(logits: Tensor) -> Tensor:
    """How far a network disagrees with itself about views that are mirrored to each other [nat].

    logits: (2 N, 3, 62), of N views and then of their N counterparts. Either is held to the mean
    of both, as a student to its teachers: an ensemble of two that costs no second network. Zero
    when they agree.
    """
    first, mirrored = logits.chunk(2)
    both = first, mirror_logits(mirrored)
    agreed = ensemble_probabilities(both).detach()
    config = DistillLossConfig()
    apart = [distill_loss(scores, agreed, None, config)["loss"] for scores in both]
    return torch.stack(apart).mean()


def ensemble_probabilities(logits: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
    """What an ensemble of teachers says: the mean of their softmax outputs (paper, Eq. 4).

    logits: one (N, 3, 62) for each teacher. Each is divided by the temperature before its
    softmax: an average cannot be given another temperature afterwards, so that stored
    probabilities serve one temperature only. Returns (N, 3, 62) that sum to one.
    Raises ValueError without teachers.
    """
    if not logits:
        raise ValueError("expected the logits of one teacher or more, got none")
    return torch.stack([(scores / temperature).softmax(dim=-1) for scores in logits]).mean(dim=0)


def distill_loss(
    logits: Tensor,
    teacher_probabilities: Tensor,
    angles_deg: Tensor | None,
    config: DistillLossConfig,
) -> dict[str, Tensor]:
    """Divergence KL(teachers || student) of the bin distributions (paper, Eq. 5).

    logits: (N, 3, 62) of the student. teacher_probabilities: (N, 3, 62) at the temperature of
    the config, from `ensemble_probabilities`. angles_deg: (N, 3) labels, which only a
    `hard_weight` needs. The divergence is multiplied by the squared temperature, which keeps
    the size of its gradient (Hinton, Vinyals, Dean 2015, section 2), and is zero when the
    student agrees. Parts: `divergence` [nat, with that factor], and those of `hard_loss` when it
    is part of the sum. Raises ValueError for shapes that differ and for missing labels.
    """
    if teacher_probabilities.shape != logits.shape:
        raise ValueError(
            f"expected teacher probabilities of the shape of the logits {tuple(logits.shape)}, "
            f"got {tuple(teacher_probabilities.shape)}"
        )
    student = (logits / config.temperature).log_softmax(dim=-1)
    target = teacher_probabilities.to(student)
    divergence = (torch.xlogy(target, target) - target * student).sum(dim=(1, 2)).mean()
    divergence = config.temperature**2 * divergence
    if config.hard_weight == 0.0:
        return {"loss": divergence, "divergence": divergence}
    if angles_deg is None:
        raise ValueError("expected labels for a hard_weight above 0, got none")
    hard = hard_loss(logits, angles_deg, config.hard)
    loss = divergence + config.hard_weight * hard["loss"]
    return {**hard, "divergence": divergence, "loss": loss}
