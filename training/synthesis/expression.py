# SPDX-License-Identifier: Apache-2.0
"""What the face does: random weights of ARKit face units."""

from __future__ import annotations

import numpy as np

Rng = np.random.Generator

# Face units moved together, left and right, and how often and how far at most.
EXPRESSION_GROUPS: tuple[tuple[tuple[str, ...], float, float], ...] = (
    (("mouthSmileLeft", "mouthSmileRight"), 0.35, 1.0),
    (("mouthFrownLeft", "mouthFrownRight"), 0.12, 0.9),
    (("mouthUpperUpLeft", "mouthUpperUpRight"), 0.15, 0.8),
    (("mouthLowerDownLeft", "mouthLowerDownRight"), 0.15, 0.8),
    (("mouthStretchLeft", "mouthStretchRight"), 0.10, 0.8),
    (("mouthDimpleLeft", "mouthDimpleRight"), 0.10, 0.8),
    (("mouthPressLeft", "mouthPressRight"), 0.10, 0.8),
    (("mouthPucker",), 0.08, 0.9),
    (("mouthFunnel",), 0.08, 0.9),
    (("mouthRollLower", "mouthRollUpper"), 0.06, 0.8),
    (("mouthLeft",), 0.05, 0.7),
    (("mouthRight",), 0.05, 0.7),
    (("cheekPuff",), 0.05, 0.9),
    (("cheekSquintLeft", "cheekSquintRight"), 0.2, 0.9),
    (("browDownLeft", "browDownRight"), 0.2, 0.9),
    (("browInnerUp",), 0.2, 0.9),
    (("browOuterUpLeft", "browOuterUpRight"), 0.2, 0.9),
    (("noseSneerLeft", "noseSneerRight"), 0.1, 0.8),
)


def sample_expression(rng: Rng) -> dict[str, float]:
    """Weights of ARKit face units: lids and jaw as people hold them, the rest now and then."""
    weights: dict[str, float] = {}
    lids = rng.random()
    if lids < 0.10:
        _both(rng, weights, "eyeBlink", rng.uniform(0.7, 1.0))
    elif lids < 0.4:
        _both(rng, weights, "eyeBlink", rng.uniform(0.0, 0.5))
    elif lids < 0.55:
        _both(rng, weights, "eyeWide", rng.uniform(0.0, 0.9))
    elif lids < 0.7:
        _both(rng, weights, "eyeSquint", rng.uniform(0.0, 0.9))
    if rng.random() < 0.12:
        _laugh(rng, weights)
    elif rng.random() < 0.35:
        weights["jawOpen"] = float(rng.uniform(0, 1) ** 1.5)
    for units, share, most in EXPRESSION_GROUPS:
        if rng.random() < share:
            value = rng.uniform(0, most)
            moved = {u: float(value * rng.uniform(0.75, 1.0)) for u in units}
            weights.update({u: max(w, weights.get(u, 0.0)) for u, w in moved.items()})
    return {f"face/{name}": value for name, value in weights.items()}


def _laugh(rng: Rng, weights: dict[str, float]) -> None:
    """Mouth, cheeks and lids together, as they go together in a laugh."""
    strength = rng.uniform(0.4, 1.0)
    for unit in ("mouthSmile", "cheekSquint", "eyeSquint"):
        _both(rng, weights, unit, strength * rng.uniform(0.7, 1.0))
    for unit in ("mouthUpperUp", "mouthLowerDown"):
        _both(rng, weights, unit, strength * rng.uniform(0.1, 0.7))
    weights["jawOpen"] = float(strength * rng.uniform(0.0, 0.6))


def _both(rng: Rng, weights: dict[str, float], unit: str, value: float) -> None:
    for side in ("Left", "Right"):
        weights[unit + side] = float(np.clip(value * rng.uniform(0.9, 1.05), 0, 1))
