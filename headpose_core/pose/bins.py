# SPDX-License-Identifier: Apache-2.0
"""Angles as classes: 62 bins of 3 degrees, and back by expectation (paper, section 3.2).

The network scores each bin of each angle. The angle is the expectation of the softmax over the
bin centres; its uncertainty is the spread of the same distribution after calibration.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.pose.pose_model import Estimate
from headpose_core.types import FloatArray

NUM_BINS = 62
BIN_WIDTH_DEG = 3.0
FIRST_CENTRE_DEG = -91.5
LOWEST_DEG = FIRST_CENTRE_DEG - BIN_WIDTH_DEG / 2
BIN_CENTRES_DEG: NDArray[np.float32] = (
    FIRST_CENTRE_DEG + BIN_WIDTH_DEG * np.arange(NUM_BINS)
).astype(np.float32)
BIN_CENTRES_DEG.flags.writeable = False

# A bin cannot tell angles inside it apart: the standard deviation of a uniform distribution.
STD_FLOOR_DEG = BIN_WIDTH_DEG / 12**0.5
OUTER_BINS = 3
OUTER_MASS = 0.2


def label_bins(angles_deg: ArrayLike) -> NDArray[np.int64]:
    """Class of each angle in degrees, any shape; beyond [-93, 93) it is the edge bin.

    Raises ValueError for an angle that is not finite.
    """
    angles = np.asarray(angles_deg, np.float64)
    if not np.isfinite(angles).all():
        raise ValueError("an angle is NaN or infinite; expected degrees")
    classes = np.floor((angles - LOWEST_DEG) / BIN_WIDTH_DEG).astype(np.int64)
    return np.clip(classes, 0, NUM_BINS - 1)


def decode(logits: ArrayLike, temperature: ArrayLike = (1.0, 1.0, 1.0)) -> Estimate:
    """Angles and their calibrated uncertainty from the network's scores.

    logits: (N, 3, 62). temperature: (3,) > 0, one for yaw, pitch and roll; it widens (> 1) or
    narrows the distribution whose spread about the mean is the uncertainty, and never moves
    the mean itself.
    """
    logits = np.asarray(logits, np.float64)
    plain = _softmax(logits)
    mean = plain @ BIN_CENTRES_DEG
    calibrated = _softmax(logits / np.asarray(temperature, np.float64)[:, None])
    variance = (calibrated * (BIN_CENTRES_DEG - mean[..., None]) ** 2).sum(axis=-1)
    ends = np.maximum(plain[..., :OUTER_BINS].sum(-1), plain[..., -OUTER_BINS:].sum(-1))
    return Estimate(
        mean_deg=mean,
        std_deg=np.maximum(np.sqrt(variance), STD_FLOOR_DEG),
        extrapolated=(ends > OUTER_MASS).any(axis=-1),
    )


def _softmax(logits: FloatArray) -> FloatArray:
    scores = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=-1, keepdims=True))
