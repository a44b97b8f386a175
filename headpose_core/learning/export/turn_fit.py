# SPDX-License-Identifier: Apache-2.0
"""Fits the coefficients by which a network's logits tell how a crop is turned."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from headpose_core.pose.networks.network import HeadPoseNet
from headpose_core.pose.turns import TURNS_SHAPE, turn_features
from headpose_core.types import FloatArray

_UPRIGHT_ROLL_DEG = 45.0  # beyond it another quarter turn is as good
_STEPS, _RATE, _DECAY = 2000, 0.03, 1e-5
_BATCH = 64


def fit_turns(
    network: HeadPoseNet, crops: NDArray[np.uint8], labels_deg: NDArray[np.float32]
) -> tuple[FloatArray, float]:
    """Coefficients (4, 10) of ``turn_probabilities``, and the share of turns that they tell right.

    crops: (N, 112, 112, 3) uint8 RGB of upright images. labels_deg: (N, 3) yaw, pitch, roll; faces
    that are rolled by more than 45 degrees are left out. ValueError: there are none left.
    """
    kept = np.flatnonzero(np.abs(labels_deg[:, 2]) < _UPRIGHT_ROLL_DEG)
    if not len(kept):
        raise ValueError("expected faces that are rolled by less than 45 degrees, got none")
    seen = [_logits(network, np.rot90(crops[kept], quarter, (1, 2))) for quarter in range(4)]
    features = torch.from_numpy(turn_features(np.concatenate(seen)))
    turns = torch.arange(4).repeat_interleave(len(kept))
    coefficients = torch.zeros(TURNS_SHAPE, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([coefficients], lr=_RATE, weight_decay=_DECAY)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(features @ coefficients.T, turns)
        loss.backward()
        optimizer.step()
    found = coefficients.detach()
    right = (features @ found.T).argmax(1) == turns
    return found.numpy(), float(right.double().mean())


def _logits(network: HeadPoseNet, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    network.eval()
    with torch.inference_mode():
        parts = [
            network(torch.from_numpy(np.ascontiguousarray(crops[start : start + _BATCH])))
            for start in range(0, len(crops), _BATCH)
        ]
    return np.asarray(torch.cat(parts).float().numpy())
