# SPDX-License-Identifier: Apache-2.0
"""How a crop is turned, by what the network says of it: a softmax regression on its logits.

Of an upright face the network is sure; of one upside down it says a small roll with a large
spread, of one on its side a large roll. Means, their squares and the spreads of the three angles
tell the quarter turn that makes a crop upright. The coefficients belong to a network and stand in
its model file; `training.export --turns` fits them on rendered faces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from headpose_core.pose.bins import decode
from headpose_core.types import FloatArray

TURNS_SHAPE = (4, 10)  # clockwise quarter turns, features
_SCALE_DEG = 30.0


def turn_features(logits: ArrayLike) -> FloatArray:
    """Features (N, 10) of logits (N, 3, 62): means, squares, logarithms of spreads, and 1."""
    estimate = decode(logits)
    mean, spread = estimate.mean_deg / _SCALE_DEG, estimate.std_deg / _SCALE_DEG
    return np.hstack([mean, mean**2, np.log(spread), np.ones((len(mean), 1))])


def turn_probabilities(logits: ArrayLike, turns: ArrayLike) -> FloatArray:
    """Probabilities (N, 4) that crops are upright after 0, 1, 2 and 3 clockwise quarter turns.

    logits: (N, 3, 62) of the crops. turns: (4, 10) coefficients of the network.
    """
    scores = turn_features(logits) @ np.asarray(turns, np.float64).T
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))
