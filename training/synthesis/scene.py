# SPDX-License-Identifier: Apache-2.0
"""How the picture is taken: pose, lens, expression, light, drawn anew for every image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Rng = np.random.Generator

FRAME_SIZE = 192  # pixels; a multiple of 32, the detector's largest stride
FACE_SHARE = (0.48, 0.62)  # long side of the face box over the frame's side
MAX_YAW_DEG, MAX_PITCH_DEG, MAX_ROLL_DEG = 93.0, 90.0, 90.0


@dataclass(frozen=True)
class Light:
    """direction: unit vector to the light, view axes (x right, y up, z to the viewer);
    colour: linear RGB intensity."""

    direction: tuple[float, float, float]
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """Everything about one view.

    angles_deg: yaw, pitch, roll of the head about the viewing ray, the paper's convention.
    distance_m: camera to head; face_px, offset_px: long side of the face box and its centre
    relative to the frame's. torso_rad: rotation vector of the torso against the head.
    gaze_deg: right and up turn of the eyes against the head. expression: face unit weights.
    lights: the first one casts the shadow of strength ``shadow``. ambient: lower and upper
    colour of the sky, ``up`` its axis.
    clutter_seed: seed of background and occluders.
    """

    angles_deg: tuple[float, float, float]
    distance_m: float
    face_px: float
    offset_px: tuple[float, float]
    torso_rad: tuple[float, float, float]
    gaze_deg: tuple[float, float]
    expression: dict[str, float]
    lights: tuple[Light, ...]
    shadow: float
    ambient: tuple[tuple[float, float, float], tuple[float, float, float]]
    up: tuple[float, float, float]
    clutter_seed: int


def sample_scene(rng: Rng) -> Scene:
    """Draw a view; the same generator state gives the same view."""
    angles = sample_angles(rng)
    lights, shadow, ambient, up = _sample_light(rng)
    share = rng.uniform(*FACE_SHARE)
    cut = rng.random() < 0.04  # a face that the frame's border cuts
    reach = rng.uniform(0.30, 0.62) if cut else rng.uniform(0, 0.5 - 0.68 * share)
    offset = rng.normal(size=2)
    offset *= reach / np.abs(offset).max()
    return Scene(
        angles_deg=angles,
        distance_m=_sample_distance(rng),
        face_px=float(share * FRAME_SIZE),
        offset_px=(float(offset[0] * FRAME_SIZE), float(offset[1] * FRAME_SIZE)),
        torso_rad=_sample_torso(rng, angles),
        gaze_deg=(float(rng.normal(0, 13)), float(rng.normal(0, 8))),
        expression=sample_expression(rng),
        lights=lights,
        shadow=shadow,
        ambient=ambient,
        up=up,
        clutter_seed=int(rng.integers(2**62)),
    )


def sample_angles(rng: Rng) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees: the whole range, with the mass where people's heads are."""
    kind = rng.random()
    if kind < 0.30:
        yaw = rng.uniform(-MAX_YAW_DEG, MAX_YAW_DEG)
    else:
        yaw = rng.normal(0, 38 if kind < 0.75 else 15)
    pitch = rng.normal(-2, 20) if rng.random() < 0.85 else rng.uniform(-75, 75)
    roll = rng.normal(0, 18) if rng.random() < 0.85 else rng.uniform(-75, 75)
    return (
        _fold(yaw, MAX_YAW_DEG),
        _fold(pitch, MAX_PITCH_DEG),
        _fold(roll, MAX_ROLL_DEG),
    )


def _fold(angle: float, limit: float) -> float:
    """Reflect what is beyond the limit back inside, so that nothing piles up at the edge."""
    size = abs(angle) % (2 * limit)
    return float(np.copysign(2 * limit - size if size > limit else size, angle))


def _sample_distance(rng: Rng) -> float:
    """0.3 to 4 m, log-uniform, with most of it between 0.5 and 2.5 m."""
    near, far = (0.5, 2.5) if rng.random() < 0.7 else (0.3, 4.0)
    return float(np.exp(rng.uniform(np.log(near), np.log(far))))


def _sample_torso(rng: Rng, angles: tuple[float, float, float]) -> tuple[float, float, float]:
    """The torso lags behind the head: part of the head's turn is taken back below the neck."""
    yaw, pitch, roll = np.radians(angles)
    turn = np.array(
        [
            pitch * rng.uniform(0, 0.6) + rng.normal(0, 0.15),
            yaw * rng.uniform(0, 0.7) + rng.normal(0, 0.25),
            roll * rng.uniform(0, 0.7) + rng.normal(0, 0.1),
        ]
    )
    turn = np.clip(turn, -0.9, 0.9)
    return float(turn[0]), float(turn[1]), float(turn[2])


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
    if rng.random() < 0.35:
        weights["jawOpen"] = float(rng.uniform(0, 1) ** 1.5)
    for units, share, most in EXPRESSION_GROUPS:
        if rng.random() < share:
            value = rng.uniform(0, most)
            weights.update({u: float(value * rng.uniform(0.75, 1.0)) for u in units})
    return {f"face/{name}": value for name, value in weights.items()}


def _both(rng: Rng, weights: dict[str, float], unit: str, value: float) -> None:
    for side in ("Left", "Right"):
        weights[unit + side] = float(np.clip(value * rng.uniform(0.9, 1.05), 0, 1))


def _sample_light(
    rng: Rng,
) -> tuple[
    tuple[Light, ...],
    float,
    tuple[tuple[float, float, float], tuple[float, float, float]],
    tuple[float, float, float],
]:
    """One to three lamps, their shadow and the sky: overcast, mixed, hard, or from behind."""
    mood = rng.choice(("overcast", "mixed", "hard", "behind"), p=(0.25, 0.5, 0.17, 0.08))
    key = {"overcast": (0.0, 0.4), "mixed": (0.2, 1.2), "hard": (0.9, 2.0), "behind": (0.8, 2.5)}
    sky = {"overcast": (0.45, 1.0), "mixed": (0.1, 0.7), "hard": (0.02, 0.25), "behind": (0.06, 0.4)}
    direction = rng.normal(size=3) + (0.0, 0.6, 0.0)
    direction[2] = abs(direction[2]) * 1.2 + 0.15
    if mood == "behind":
        direction[2] *= -0.6
    strengths = [
        rng.uniform(*key[mood]),
        rng.uniform(0, 0.7) * (rng.random() < 0.6),
        rng.uniform(0, 0.5) * (rng.random() < 0.4),
    ]
    strength = rng.uniform(*sky[mood])
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
    ambient = (_colour(rng, strength * rng.uniform(0.15, 1.0)), _colour(rng, strength))
    wants_shadow = mood in ("hard", "mixed") and rng.random() < (0.9 if mood == "hard" else 0.5)
    shadow = float(rng.uniform(0.5, 1.0)) if wants_shadow else 0.0
    return lights, shadow, ambient, _unit(rng.normal(0, 0.4, 3) + (0, 1, 0.3))


def _colour(rng: Rng, strength: float) -> tuple[float, float, float]:
    warmth = rng.normal(0, 0.1)
    r, g, b = strength * np.exp(rng.normal(0, 0.05, 3) + warmth * np.array([1.0, 0.0, -1.0]))
    return float(r), float(g), float(b)


def _unit(vector: np.ndarray) -> tuple[float, float, float]:
    x, y, z = vector / np.linalg.norm(vector)
    return float(x), float(y), float(z)
