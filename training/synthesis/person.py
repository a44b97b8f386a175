# SPDX-License-Identifier: Apache-2.0
"""Who is in the picture: a random identity, drawn once and kept over several views."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.synthesis.coverings import KINDS
from training.synthesis.library import AGES, RACES, HeadLibrary
from training.synthesis.wardrobe import (
    Colour,
    Glasses,
    Rng,
    Worn,
    dress,
    sample_glasses,
    sample_mask_colour,
    triple,
)

# Linear RGB of hair: black, dark brown, brown, blond, grey, red, and their shares.
HAIR_COLOURS = np.array(
    [
        [0.010, 0.008, 0.008],
        [0.035, 0.018, 0.010],
        [0.10, 0.052, 0.025],
        [0.36, 0.23, 0.10],
        [0.36, 0.36, 0.36],
        [0.17, 0.045, 0.015],
    ]
)
SCAN_SHARE = 0.5  # of the people who have a face of ICT-FaceKit, where it is there
COVERED_SHARE = 0.08  # of the people who wear a scarf, a cap of wool or a hood
ASYMMETRY_SHARE = 0.15  # of the sliders that pull one side of a face
HAIR_SHARES = (0.27, 0.23, 0.18, 0.15, 0.09, 0.08)


@dataclass(frozen=True)
class Person:
    """One random identity; weights are of morph targets, colours are linear RGB factors.

    covering: a kind of ``coverings.KINDS``, in cloth_colour, woven as covering_texture or plain.
    detail: scale of the skin's fine texture, strength of its blotches, strength of its relief,
    offset into the noise. beard: density 0..1. make_up: strength 0..1 of coloured lips,
    lid_shade: of coloured lids. scalp: 0..1, how much of the skin below the hair it covers.
    """

    weights: dict[str, float]
    race: Colour
    maleness: float
    age: str
    skin: Path
    skin_tint: Colour
    skin_gloss: tuple[float, float]
    detail: tuple[float, float, float, float]
    beard: float
    make_up: float
    lip_colour: Colour
    lid_shade: float
    scalp: float
    lid_colour: Colour
    hair_colour: Colour
    eye_tint: Colour
    cloth_colour: Colour
    worn: tuple[Worn, ...]
    glasses: Glasses | None
    mask_colour: Colour | None
    covering: str | None
    covering_texture: Path | None


def sample_person(rng: Rng, library: HeadLibrary) -> Person:
    """Draw a person; the same generator state and library give the same person."""
    race = rng.dirichlet((0.5, 0.5, 0.5))
    maleness = float(np.clip(rng.choice((0.0, 1.0)) + rng.normal(0, 0.15), 0, 1))
    age_index = int(rng.choice(3, p=(0.10, 0.62, 0.28)))
    if "scan/mean" in library.target_names and rng.random() < SCAN_SHARE:
        age_index = max(age_index, 1)  # the scans are of adults
        weights = _scan_weights(rng, library)
    else:
        weights = _macro_weights(rng, library, race, maleness, age_index)
        _add_shape(rng, library, weights)
    male, age = maleness > 0.5, AGES[age_index]
    covering = str(rng.choice(KINDS)) if rng.random() < COVERED_SHARE else None
    hat = covering is None and rng.random() < 0.07
    hair_colour = HAIR_COLOURS[rng.choice(len(HAIR_COLOURS), p=HAIR_SHARES)]
    if age == "old" and rng.random() < 0.6:
        hair_colour = HAIR_COLOURS[4]
    bearded = male and age != "child" and rng.random() < 0.45
    worn = dress(rng, library, male, hat or covering is not None)
    if covering is not None:
        worn = tuple(w for w in worn if w.kind not in ("hair", "hat"))
    cloths = sorted({t for part in library.parts["clothes"] for t in part.textures})
    woven = covering is not None and cloths and rng.random() < 0.5
    noise = rng.normal(0, 0.1, 3) * (0.6, 0.9, 1.1)
    return Person(
        weights=weights,
        race=triple(race),
        maleness=maleness,
        age=age,
        skin=_choose_skin(rng, library, race, male, age),
        skin_tint=triple(np.exp(noise + rng.normal(0.0, 0.2))),
        skin_gloss=(float(rng.uniform(0.02, 0.5)), float(rng.uniform(6, 40))),
        detail=(
            float(rng.uniform(6, 30)),
            float(rng.uniform(0, 0.16)),
            float(rng.uniform(0, 0.2)),
            float(rng.random()),
        ),
        beard=float(rng.beta(0.8, 0.9)) if bearded else 0.0,
        make_up=float(rng.uniform(0.2, 0.9)) if not male and rng.random() < 0.4 else 0.0,
        lip_colour=triple(np.array([0.45, 0.03, 0.05]) * np.exp(rng.normal(0, 0.5, 3))),
        lid_shade=float(rng.uniform(0.2, 0.95)) if not male and rng.random() < 0.35 else 0.0,
        scalp=_scalp(rng, worn),
        lid_colour=triple(_lid_colour(rng)),
        hair_colour=triple(hair_colour * np.exp(rng.normal(0, 0.35) + rng.normal(0, 0.08, 3))),
        eye_tint=triple(rng.uniform(0.4, 0.75) * np.exp(rng.normal(0, 0.05, 3))),
        cloth_colour=triple(rng.uniform(0.05, 1.3, 3) ** 1.5),
        worn=worn,
        glasses=sample_glasses(rng) if rng.random() < 0.17 else None,
        mask_colour=sample_mask_colour(rng) if rng.random() < 0.03 else None,
        covering=covering,
        covering_texture=cloths[rng.integers(len(cloths))] if woven else None,
    )


def _scalp(rng: Rng, worn: tuple[Worn, ...]) -> float:
    """Under hair no skin shows; half of the heads without are shaved, not bald."""
    if any(one.kind == "hair" for one in worn):
        return 0.9
    return float(rng.uniform(0.2, 0.85)) if rng.random() < 0.5 else 0.0


def _lid_colour(rng: Rng) -> NDArray[np.float64]:
    """Of painted lids: mostly black and brown, now and then any colour."""
    if rng.random() < 0.75:
        return np.array([0.03, 0.018, 0.015]) * np.exp(rng.normal(0, 0.6) + rng.normal(0, 0.15, 3))
    return np.asarray(rng.uniform(0.01, 0.5, 3))


def _scan_weights(rng: Rng, library: HeadLibrary) -> dict[str, float]:
    """A face of ICT-FaceKit: its modes are drawn as they are in the scans, unit normals."""
    weights = {"scan/mean": 1.0}
    for name in library.target_names:
        if name.startswith("scan/") and name != "scan/mean":
            weights[name] = float(rng.normal())
        elif name.startswith("asym/") and rng.random() < ASYMMETRY_SHARE:
            _add(library, weights, name, float(rng.uniform(0, 0.5)))
    return weights


def _macro_weights(
    rng: Rng, library: HeadLibrary, race: NDArray[np.float64], maleness: float, age_index: int
) -> dict[str, float]:
    """Sex, age, race and weight, mixed as MakeHuman mixes them."""
    ages = np.zeros(3)
    blend = rng.random() if age_index != 1 and rng.random() < 0.6 else 1.0
    ages[age_index] += blend
    ages[1] += 1 - blend
    build = str(rng.choice(("minweight", "averageweight", "maxweight"), p=(0.25, 0.5, 0.25)))
    extreme = rng.random() if build != "averageweight" else 0.0
    muscle = rng.uniform(0, 0.4)
    weights: dict[str, float] = {}
    for sex, sex_w in (("male", maleness), ("female", 1 - maleness)):
        for age, age_w in zip(AGES, ages, strict=True):
            share = sex_w * age_w
            if share <= 0:
                continue
            for name, race_w in zip(RACES, race, strict=True):
                _add(library, weights, f"macro/{name}-{sex}-{age}", share * race_w)
            for tone, tone_w in (("averagemuscle", 1 - muscle), ("maxmuscle", muscle)):
                prefix = f"macro/universal-{sex}-{age}-{tone}-"
                _add(library, weights, prefix + build, share * tone_w * extreme)
                _add(library, weights, prefix + "averageweight", share * tone_w * (1 - extreme))
    return weights


def _add_shape(rng: Rng, library: HeadLibrary, weights: dict[str, float]) -> None:
    """Local face sliders; left and right ones get nearly the same value, asymmetry apart."""
    shared: dict[str, float] = {}
    for name in library.target_names:
        group, _, slider = name.partition("/")
        if group == "shape":
            key = slider[2:] if slider[:2] in ("l-", "r-") else slider
            if key not in shared:
                active = rng.random() < 0.35
                shared[key] = float(rng.uniform(0, 0.9) * rng.random()) if active else 0.0
            side = rng.uniform(0.8, 1.2) if key != slider else 1.0
            _add(library, weights, name, shared[key] * side)
        elif group == "asym" and rng.random() < ASYMMETRY_SHARE:
            _add(library, weights, name, float(rng.uniform(0, 0.5)))


def _add(library: HeadLibrary, weights: dict[str, float], name: str, value: float) -> None:
    if value > 0 and name in library.target_names:
        weights[name] = weights.get(name, 0.0) + float(value)


def _choose_skin(
    rng: Rng, library: HeadLibrary, race: NDArray[np.float64], male: bool, age: str
) -> Path:
    """A skin that goes with sex and (mostly) race and age, by the words in its file name."""
    tone = "darkskinned" if RACES[int(race.argmax())] == "african" else "lightskinned"
    sex = "_male" if male else "_female"
    ages = {"child": ("young",), "young": ("young", "middleage"), "old": ("old", "middleage")}[age]
    skins = [s for s in library.skins if sex in s.name] or list(library.skins)
    close = [s for s in skins if tone in s.name and s.name.startswith(ages)]
    pool = close if close and rng.random() < 0.85 else skins
    return pool[rng.integers(len(pool))]
