# SPDX-License-Identifier: Apache-2.0
"""Where the light comes from: lamps, sky and the camera's exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    0..1; ground, sky: colours of the ambient light from below and above; up: its axis; ambient:
    nine colours that say it more finely (harmonics.py), of light that comes from a panorama."""

    lights: tuple[Light, ...]
    shadow: float
    ground: Triple
    sky: Triple
    up: Triple
    ambient: tuple[Triple, ...] = ()


# Mood: its share, range of the key lamp's strength, range of the sky's.
MOODS = {
    "overcast": (0.18, (0.0, 0.4), (0.45, 1.0)),
    "mixed": (0.44, (0.2, 1.2), (0.1, 0.7)),
    "hard": (0.18, (0.9, 2.0), (0.02, 0.25)),
    "behind": (0.08, (0.8, 2.5), (0.03, 0.4)),
    "side": (0.12, (1.0, 2.2), (0.0, 0.08)),
}


def sample_lighting(rng: Rng) -> Lighting:
    """One to three lamps, their shadow and the sky: overcast, mixed, hard, from behind, or from
    one side, whose other side has hardly any."""
    mood = str(rng.choice(list(MOODS), p=[share for share, _, _ in MOODS.values()]))
    _, key_range, sky_range = MOODS[mood]
    direction = rng.normal(size=3) + np.array([0.0, 0.6, 0.0])
    direction[2] = abs(direction[2]) * 1.2 + 0.15
    if mood == "behind":
        direction[2] *= -0.6
    if mood == "side":
        around = rng.uniform(0, 2 * np.pi) if rng.random() < 0.3 else rng.choice((0.0, np.pi))
        around += rng.normal(0, 0.35)
        direction = np.array([np.cos(around), np.sin(around), rng.uniform(-0.35, 0.5)])
    strengths = [
        rng.uniform(*key_range),
        rng.uniform(0, 0.7) * (rng.random() < 0.6) * (mood != "side"),
        rng.uniform(0, 0.5) * (rng.random() < 0.4) * (mood != "side"),
    ]
    strength = rng.uniform(*sky_range)
    exposure = sample_exposure(rng) / (strength + 0.6 * sum(strengths))
    if mood == "behind":
        exposure *= rng.uniform(0.5, 1.2)
    strength *= exposure
    directions = [direction, rng.normal(size=3), rng.normal(size=3)]
    lights = tuple(
        Light(unit(d), _colour(rng, exposure * s))
        for d, s in zip(directions, strengths, strict=True)
        if s > 0
    )
    ground = _colour(rng, strength * rng.uniform(0.15, 1.0))
    sky = _colour(rng, strength)
    wants_shadow = mood in ("hard", "mixed", "side") and rng.random() < (
        0.5 if mood == "mixed" else 0.9
    )
    shadow = float(rng.uniform(0.5, 1.0)) if wants_shadow else 0.0
    up = unit(rng.normal(0, 0.4, 3) + np.array([0, 1, 0.3]))
    return Lighting(lights, shadow, ground, sky, up)


def sample_exposure(rng: Rng) -> float:
    """The camera's exposure, 1 is right: right on average, often a stop off, seldom three."""
    exposure = np.exp(rng.normal(-0.25, 0.45))
    kind = rng.random()
    if kind < 0.07:
        exposure *= rng.uniform(0.1, 0.5)
    elif kind < 0.12:
        exposure *= rng.uniform(1.8, 4.0)
    return float(exposure)


def _colour(rng: Rng, strength: float) -> Triple:
    warmth = rng.normal(0, 0.1)
    r, g, b = strength * np.exp(rng.normal(0, 0.05, 3) + warmth * np.array([1.0, 0.0, -1.0]))
    return float(r), float(g), float(b)


def unit(vector: NDArray[np.float64]) -> Triple:
    """The vector (3,) at length 1."""
    return triple(vector / np.linalg.norm(vector))


def triple(vector: ArrayLike) -> Triple:
    """Three numbers as plain floats."""
    x, y, z = np.asarray(vector, np.float64).tolist()
    return x, y, z
