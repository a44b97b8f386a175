# SPDX-License-Identifier: Apache-2.0
"""Which faces are kept, and which comes first."""

from __future__ import annotations

import numpy as np
import pytest

from headpose_core.faces.prominence import Prominence
from headpose_core.faces.tracking import Tracker
from headpose_core.types import Faces

# As a detector has them: (x, y, side, score).
DRIVER, WHEEL = (420, 200, 286, 0.86), (60, 330, 400, 0.70)
PASSENGER, DOG = (900, 260, 150, 0.91), (500, 420, 170, 0.62)


def faces(*found: tuple[float, float, float, float]) -> Faces:
    """Best score first, as detectors give them."""
    rows = np.array(sorted(found, key=lambda row: -row[3]), np.float32).reshape(-1, 4)
    corners, sides = rows[:, :2], rows[:, 2:3]
    return Faces(np.hstack([corners, corners + sides]), rows[:, 3])


def left_edges(chosen: Faces) -> list[float]:
    return chosen.boxes[:, 0].tolist()


@pytest.mark.parametrize(
    ("found", "first"),
    [((DRIVER, WHEEL), DRIVER), ((PASSENGER, DOG), PASSENGER), ((DRIVER, PASSENGER), DRIVER)],
)
def test_size_and_score_decide_together(found: tuple[tuple[float, ...], ...], first) -> None:
    (only,) = left_edges(Prominence().choose(faces(*found), 1))
    assert only == first[0]


def test_all_that_fit_are_kept_in_their_order() -> None:
    chosen = Prominence().choose(faces(WHEEL, PASSENGER, DRIVER, DOG), 3)
    assert left_edges(chosen) == [DRIVER[0], WHEEL[0], PASSENGER[0]]
    assert len(Prominence().choose(faces(), 3)) == 0


def test_who_was_kept_before_stays_although_another_is_a_little_larger() -> None:
    first, second = (100, 100, 100, 0.9), (500, 100, 110, 0.9)
    prominence = Prominence()
    for _ in range(10):
        prominence.choose(faces(first), 1)
    assert left_edges(prominence.choose(faces(first, second), 1)) == [100]
    assert left_edges(prominence.choose(faces(first, (500, 100, 200, 0.9)), 1)) == [500]
    prominence.reset()
    assert left_edges(prominence.choose(faces(first, second), 1)) == [500]


def test_a_face_that_is_missed_for_some_images_is_still_preferred() -> None:
    known, new = (100, 100, 100, 0.9), (500, 100, 110, 0.9)
    prominence = Prominence()
    for _ in range(10):
        prominence.choose(faces(known), 1)
    for _ in range(4):
        prominence.choose(faces(new), 1)
    assert left_edges(prominence.choose(faces(known, new), 1)) == [100]


@pytest.mark.parametrize("seed", range(4))
def test_ids_stay_where_there_are_more_equal_faces_than_wanted(seed: int) -> None:
    """24 faces whose boxes and scores tremble, room for 8: 8 ids in 60 images."""
    rng = np.random.default_rng(seed)
    prominence, tracker, ids = Prominence(), Tracker(), set()
    for number in range(60):
        grid = [(100 + 150 * (i % 6), 100 + 150 * (i // 6)) for i in range(24)]
        found = [
            (*(corner + rng.normal(0, 1, 2)), 80 + rng.normal(0, 2), 0.9 + rng.normal(0, 0.01))
            for corner in np.array(grid, float)
        ]
        chosen = prominence.choose(faces(*found), 8)
        ids |= {track.face_id for track in tracker.update(number / 30, chosen.boxes)}
    assert len(ids) == 8
