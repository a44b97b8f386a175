# SPDX-License-Identifier: Apache-2.0
"""What people wear: hair, eyes, clothes, hats, glasses, masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.synthesis.library import HeadLibrary
from training.synthesis.parts import Part

Rng = np.random.Generator
Colour = tuple[float, float, float]

STRANDS_SHARE = 0.65  # of those who have hair
SHORT_HAIR = ("short", "afro")
FRINGED_HAIR = ("bob",)  # hangs into the face


@dataclass(frozen=True)
class Worn:
    """A part and the texture it wears; kind is the part's kind in the library."""

    kind: str
    part: str
    texture: Path


@dataclass(frozen=True)
class Glasses:
    """Procedural glasses: lens half width and height and tube radius in units of the distance
    between the eyes, roundness exponent of the rim (2 = oval), colours, lens opacity 0..1."""

    half_width: float
    half_height: float
    exponent: float
    tube: float
    frame_colour: Colour
    lens_colour: Colour
    lens_opacity: float
    slide: float  # how far down the nose, same unit


def dress(rng: Rng, library: HeadLibrary, male: bool, hat: bool) -> tuple[Worn, ...]:
    """Everything that hangs on the head, hair and clothes last."""
    worn = [_wear(rng, kind, library.parts[kind]) for kind in ("eyebrows", "eyelashes")]
    worn.append(_choose_eyes(rng, library.parts["eyes"]))
    worn += [_wear(rng, k, library.parts[k]) for k in ("teeth", "tongue") if library.parts[k]]
    hairs = library.parts["hair"]
    if (male and rng.random() < 0.75) or hat:
        hairs = tuple(h for h in hairs if h.name.startswith(SHORT_HAIR)) or hairs
    if rng.random() < (0.3 if hat else 0.88 if male else 0.96):
        strands = tuple(h for h in hairs if "strands" in h.name)
        if strands:
            meshes = tuple(h for h in hairs if "strands" not in h.name)
            hairs = strands if rng.random() < STRANDS_SHARE or not meshes else meshes
        if rng.random() < 0.6:  # hair that hangs into the face hides what there is to learn
            hairs = tuple(h for h in hairs if not h.name.startswith(FRINGED_HAIR)) or hairs
        worn.append(_wear(rng, "hair", hairs))
    if hat and library.parts["hat"]:
        worn.append(_wear(rng, "hat", library.parts["hat"]))
    other = "female" if male else "male"
    clothes = [p for p in library.parts["clothes"] if not p.name.startswith(other)]
    if clothes and rng.random() < 0.93:
        worn.append(_wear(rng, "clothes", tuple(clothes)))
    return tuple(worn)


def _choose_eyes(rng: Rng, eyes: tuple[Part, ...]) -> Worn:
    """Most people's eyes are brown."""
    brown = [t for t in eyes[0].textures if "brown" in t.name]
    if brown and rng.random() < 0.65:
        return Worn("eyes", eyes[0].name, brown[rng.integers(len(brown))])
    return _wear(rng, "eyes", eyes)


def _wear(rng: Rng, kind: str, parts: tuple[Part, ...]) -> Worn:
    part = parts[rng.integers(len(parts))]
    return Worn(kind, part.name, part.textures[rng.integers(len(part.textures))])


def sample_glasses(rng: Rng) -> Glasses:
    """Spectacles or, one time in three, sunglasses."""
    sun = rng.random() < 0.35
    dark = rng.random() < 0.6
    frame = rng.uniform(0.005, 0.05) * np.ones(3) if dark else rng.uniform(0.02, 0.7, 3)
    return Glasses(
        half_width=float(rng.uniform(0.34, 0.46)),
        half_height=float(rng.uniform(0.2, 0.36)),
        exponent=float(rng.uniform(2.0, 4.5)),
        tube=float(rng.choice((rng.uniform(0.01, 0.02), rng.uniform(0.025, 0.06)))),
        frame_colour=triple(frame),
        lens_colour=triple(rng.uniform(0.0, 0.06, 3) if sun else rng.uniform(0.5, 1.0, 3)),
        lens_opacity=float(rng.uniform(0.6, 1.0) if sun else rng.uniform(0.02, 0.16)),
        slide=float(rng.uniform(-0.02, 0.12)),
    )


def sample_mask_colour(rng: Rng) -> Colour:
    """White, blue, black or green cloth."""
    colours = ((0.55, 0.57, 0.6), (0.25, 0.45, 0.6), (0.02, 0.02, 0.02), (0.3, 0.55, 0.5))
    return triple(np.array(colours[rng.integers(4)]) * np.exp(rng.normal(0, 0.15, 3)))


def triple(values: NDArray[np.float64]) -> Colour:
    """Three plain floats, which compare and hash as parts of a frozen dataclass should."""
    x, y, z = (float(v) for v in values)
    return x, y, z
