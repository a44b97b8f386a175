# SPDX-License-Identifier: Apache-2.0
"""Scarves, caps and hoods: they cover the head and leave the face open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("moderngl")

from training.synthesis.coverings import KINDS, make_coverings
from training.synthesis.person import sample_person

if TYPE_CHECKING:
    from training.synthesis.engine import Engine


@pytest.mark.parametrize("kind", KINDS)
def test_cloth_lies_outside_the_skin_and_leaves_the_face_open(engine: Engine, kind: str) -> None:
    library = engine.library
    covering = make_coverings(library.base, library.landmarks, np.stack(library.body.corners, 1))[
        kind
    ]
    for number in range(3):
        person = sample_person(np.random.default_rng(number), library)
        head = library.morph(person.weights, library.base)
        marks = head[library.landmarks]
        cloth = covering.positions(head, marks)
        assert np.isfinite(cloth).all()
        # The top of the head is covered; eyes, nose and mouth are not.
        assert cloth[:, 1].max() > head[covering.skin, 1].max()
        axis = np.array([0, marks[27, 1], marks[[0, 16], 2].mean() - 0.2])
        upper = head[covering.skin, 1] > marks[27, 1]
        further = np.linalg.norm(cloth[upper] - axis, axis=1) - np.linalg.norm(
            head[covering.skin][upper] - axis, axis=1
        )
        assert np.median(further) > 0.04 and (further < -0.02).mean() < 0.02
        for mark in marks[[28, 30, 36, 45, 48, 54]]:
            in_front = cloth[:, 2] > mark[2] - 0.3
            side = np.linalg.norm(cloth[in_front, :2] - mark[:2], axis=1)
            assert side.size == 0 or side.min() > 0.05


def test_some_people_wear_one_and_then_no_hair_and_no_hat(engine: Engine) -> None:
    people = [sample_person(np.random.default_rng(k), engine.library) for k in range(300)]
    covered = [person for person in people if person.covering]
    assert 8 < len(covered) < 50
    assert {person.covering for person in covered} == set(KINDS)
    assert not any(worn.kind in ("hair", "hat") for p in covered for worn in p.worn)
