# SPDX-License-Identifier: Apache-2.0
"""Where the light comes from: lamps, sky and the camera's exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """direction: unit vector to the light, view axes (x right, y up, z to the viewer);
    colour: linear RGB intensity."""

    direction: Triple
    colour: Triple


@dataclass(frozen=True)
class Lighting:
    """lights: at most three lamps, of which the first casts the shadow; shadow: its strength
    0..1; ground, sky: colours of the ambient light from below and above; up: its axis."""

    lights: tuple[Light, ...]
    shadow: float
    ground: Triple
    sky: Triple
    up: Triple


# Mood: its share, range of the key lamp's strength, range of the sky's.
MOODS = {
    "overcast": (0.25, (0.0, 0.4), (0.45, 1.0)),
    "mixed": (0.50, (0.2, 1.2), (0.1, 0.7)),
    "hard": (0.17, (0.9, 2.0), (0.02, 0.25)),
    "behind": (0.08, (0.8, 2.5), (0.06, 0.4)),
}


def sample_lighting(rng: Rng) -> Lighting:
    """One to three lamps, their shadow and the sky: overcast, mixed, hard, or from behind."""
    mood = str(rng.choice(list(MOODS), p=[share for share, _, _ in MOODS.values()]))
    _, key_range, sky_range = MOODS[mood]
    direction = rng.normal(size=3) + np.array([0.0, 0.6, 0.0])
    direction[2] = abs(direction[2]) * 1.2 + 0.15
    if mood == "behind":
        direction[2] *= -0.6
    strengths = [
        rng.uniform(*key_range),
        rng.uniform(0, 0.7) * (rng.random() < 0.6),
        rng.uniform(0, 0.5) * (rng.random() < 0.4),
    ]
    strength = rng.uniform(*sky_range)
    # The camera's exposure: right on average, often a stop off.
    exposure = np.exp(rng.normal(-0.25, 0.45)) / (strength + 0.6 * sum(strengths))
    if mood == "behind":
        exposure *= rng.uniform(0.5, 1.2)
    strength *= exposure
    directions = [direction, rng.normal(size=3), rng.normal(size=3)]
    lights = tuple(
        Light(_unit(d), _colour(rng, exposure * s))
        for d, s in zip(directions, strengths, strict=True)
        if s > 0
    )
    ground = _colour(rng, strength * rng.uniform(0.15, 1.0))
    sky = _colour(rng, strength)
    wants_shadow = mood in ("hard", "mixed") and rng.random() < (0.9 if mood == "hard" else 0.5)
    shadow = float(rng.uniform(0.5, 1.0)) if wants_shadow else 0.0
    up = _unit(rng.normal(0, 0.4, 3) + np.array([0, 1, 0.3]))
    return Lighting(lights, shadow, ground, sky, up)


def _colour(rng: Rng, strength: float) -> Triple:
    warmth = rng.normal(0, 0.1)
    r, g, b = strength * np.exp(rng.normal(0, 0.05, 3) + warmth * np.array([1.0, 0.0, -1.0]))
    return float(r), float(g), float(b)


def _unit(vector: NDArray[np.float64]) -> Triple:
    x, y, z = vector / np.linalg.norm(vector)
    return float(x), float(y), float(z)
