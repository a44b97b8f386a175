# SPDX-License-Identifier: Apache-2.0
"""Covers, cuts, hard light and sensors do what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from headpose_core.geometry.rotation import geodesic_deg, matrix_from_angles
from headpose_core.learning.data.augment import GeometryConfig, draw_jitter, turn_label
from headpose_core.learning.data.covers import DEEPEST_CUT, cover, cut
from headpose_core.learning.data.degrade import STAGES
from headpose_core.learning.data.hard_light import extreme, one_sided, sensor, silhouette
from tests.learning.drawn_faces import draw_face

FACE = draw_face(np.array([10.0, 5.0, 0.0]))[20:132, 20:132]
GREY = np.full((112, 112, 3), 130, np.uint8)


def test_a_cut_is_black_beyond_straight_lines_and_leaves_the_rest() -> None:
    for seed in range(40):
        seen = cut(GREY, np.random.default_rng(seed))
        black = (seen == 0).all(axis=2)
        assert set(np.unique(seen)) == {0, 130}
        rows, columns = ~black.all(axis=1), ~black.all(axis=0)
        assert (~black == np.outer(rows, columns)).all()  # what is left is one rectangle
        least = 1 - DEEPEST_CUT - 0.01
        # At most one side of each pair that face each other, or both of them and nothing else.
        assert rows.mean() > 2 * least - 1 and columns.mean() > 2 * least - 1
        assert 0.02 < black.mean() < 0.95


def test_a_cover_hides_at_most_half_of_the_middle_and_something() -> None:
    changed = []
    for seed in range(60):
        shown = cover(FACE, np.random.default_rng(seed)).astype(float)
        changed.append((np.abs(shown - FACE).max(axis=2) > 25).mean())
    assert 0.1 < np.mean(changed) < 0.6
    assert max(changed) < 0.9


def test_light_from_one_side_leaves_a_dark_side_that_may_be_black() -> None:
    darkest = []
    for seed in range(60):
        lit = one_sided(GREY, np.random.default_rng(seed)).astype(float)
        darkest.append(np.percentile(lit, 2))
        assert np.percentile(lit, 98) > 100
    assert min(darkest) < 3 and np.mean(darkest) < 40


def test_a_silhouette_is_darker_in_the_middle_than_around() -> None:
    for seed in range(20):
        seen = silhouette(GREY, np.random.default_rng(seed)).astype(float)
        assert seen[40:72, 40:72].mean() < seen[:10, :10].mean() - 20


def test_extremes_lie_beyond_what_cameras_make_up_for() -> None:
    means = np.array([extreme(FACE, np.random.default_rng(k)).mean() for k in range(60)])
    assert ((means < 65) | (means > 140)).all()
    assert (means < 65).any() and (means > 140).any()


def test_noise_of_a_sensor_is_worse_in_the_shadows() -> None:
    ramp = np.repeat(np.array([40, 220], np.uint8), 56)[None, :, None]
    crop = np.broadcast_to(ramp, (112, 112, 3)).copy()
    spread = []
    for seed in range(20):
        noisy = sensor(crop, np.random.default_rng(seed)).astype(float)
        spread.append((noisy[:, :56].std(), noisy[:, 56:].std()))
    dark, bright = np.mean(spread, axis=0)
    assert dark > 1.2 * bright > 1.0


@pytest.mark.parametrize("name", ["cover", "one_sided", "silhouette", "extreme", "sensor", "cut"])
def test_the_new_stages_are_part_of_the_degradations(name: str) -> None:
    assert name in STAGES


def test_deep_shadows_stay_dark_when_the_exposure_is_made_right() -> None:
    half = GREY.copy()
    half[:, :70] = 8
    shadows = [
        STAGES["exposure"](half, np.random.default_rng(k))[:, :70].mean() for k in range(200)
    ]
    assert np.median(shadows) < 60


def test_far_turns_reach_45_degrees_and_their_labels_follow() -> None:
    config = GeometryConfig(rotate=0.0, rotate_far=1.0)
    rng = np.random.default_rng(0)
    turns = np.array([draw_jitter(config, rng).turn_deg for _ in range(500)])
    assert np.abs(turns).max() <= 45 and turns.min() < -40 and turns.max() > 40
    label = np.array([30.0, -10.0, 5.0])
    turned = turn_label(label, 40.0)
    assert turned is not None
    apart = geodesic_deg(matrix_from_angles(label), matrix_from_angles(turned))
    assert apart == pytest.approx(40.0, abs=1e-6)
