# SPDX-License-Identifier: Apache-2.0
"""Ids along a track: constant, never given twice, gone after the gap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from headpose_core.faces.assignment import assign
from headpose_core.faces.boxes import iou
from headpose_core.faces.tracking import Tracker

LEFT, RIGHT = np.array([10.0, 10, 60, 70]), np.array([200.0, 20, 260, 90])


def ids(tracker: Tracker, stamp_s: float, *boxes: np.ndarray) -> list[str]:
    return [track.face_id for track in tracker.update(stamp_s, boxes)]


def test_ids_follow_the_faces_and_not_their_order() -> None:
    tracker = Tracker(id_prefix="left_f")
    assert ids(tracker, 0.0, LEFT, RIGHT) == ["left_f1", "left_f2"]
    assert ids(tracker, 0.1, RIGHT + 5, LEFT + 5) == ["left_f2", "left_f1"]


def test_age_and_confirmation() -> None:
    tracker = Tracker(min_hits=3)
    seen = [tracker.update(i / 30, [LEFT])[0] for i in range(4)]
    assert [track.age for track in seen] == [1, 2, 3, 4]
    assert [track.confirmed for track in seen] == [False, False, True, True]


def test_age_counts_images_without_the_face_min_hits_does_not() -> None:
    tracker = Tracker(min_hits=3)
    tracker.update(0.0, [LEFT])
    tracker.update(0.1, [])
    (track,) = tracker.update(0.2, [LEFT])
    assert (track.face_id, track.age, track.confirmed) == ("f1", 3, False)


def test_many_images_without_a_face_do_not_end_its_track() -> None:
    tracker = Tracker(max_gap_s=10.0)
    tracker.update(0.0, [LEFT])
    for i in range(1, 900):
        tracker.update(i / 100, [])
    assert ids(tracker, 9.0, LEFT) == ["f1"]


@pytest.mark.parametrize(("missing_s", "comes_back"), [(0.29, "f1"), (0.31, "f2")])
def test_a_face_comes_back_within_the_gap_only(missing_s: float, comes_back: str) -> None:
    tracker = Tracker(max_gap_s=0.3)
    assert ids(tracker, 1.0, LEFT) == ids(tracker, 1.03, LEFT) == ["f1"]
    assert ids(tracker, 1.03 + missing_s, LEFT) == [comes_back]


@pytest.mark.parametrize(("hz", "max_gap_s"), [(30.0, 0.0), (2.0, 0.3), (0.6, 0.3)])
def test_a_face_in_every_slow_image_keeps_its_id(hz: float, max_gap_s: float) -> None:
    tracker = Tracker(max_gap_s=max_gap_s)
    stamps = (np.arange(10) + 0.2 * np.sin(np.arange(10.0))) / hz
    assert {name for stamp in stamps for name in ids(tracker, stamp, LEFT)} == {"f1"}
    after = stamps[-1] + 1 / hz
    assert not tracker.interrupted(after)
    assert tracker.interrupted(stamps[-1] + 4.0)
    assert ids(tracker, stamps[-1] + 4.0, LEFT) == ["f2"]


def test_when_time_goes_back_all_begins_anew_with_new_ids() -> None:
    tracker = Tracker()
    assert ids(tracker, 5.0, LEFT) == ["f1"]
    assert ids(tracker, 0.0, LEFT) == ["f2"]
    tracker.reset()
    assert ids(tracker, 0.0, LEFT) == ["f3"]


def test_two_faces_never_share_an_id() -> None:
    tracker = Tracker()
    tracker.update(0.0, [LEFT])
    assert sorted(ids(tracker, 0.1, LEFT + 2, LEFT - 2, LEFT)) == ["f1", "f2", "f3"]


def test_the_closer_box_keeps_the_id() -> None:
    tracker = Tracker()
    tracker.update(0.0, [LEFT])
    assert ids(tracker, 0.1, LEFT + 15, LEFT + 3) == ["f2", "f1"]


def square(x: float, y: float, side: float) -> np.ndarray:
    return np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2])


def follow(
    tracker: Tracker,
    paths: list,
    seconds: float,
    *,
    hz: float = 30.0,
    hidden: float = 0.3,
    lost: float = 0.0,
    seed: int = 0,
) -> list[list[str | None]]:
    """The ids that faces get along paths (t -> x, y, side), the nearest one first.

    Boxes are off by a hundredth of their side. A face that a nearer one covers so far that their
    boxes overlap by more than `hidden` is not found, nor is any with the probability `lost`.
    """
    rng = np.random.default_rng(seed)
    history: list[list[str | None]] = [[] for _ in paths]
    for t in np.arange(0.0, seconds, 1.0 / hz):
        found: list[tuple[int, np.ndarray]] = []
        for i, path in enumerate(paths):
            x, y, side = path(t)
            box = square(x, y, side) + rng.normal(0.0, 0.01 * side, 4)
            covered = any(iou([box], [other])[0, 0] > hidden for _, other in found)
            if not covered and rng.random() >= lost:
                found.append((i, box))
        order = rng.permutation(len(found))
        tracks = tracker.update(float(t), [found[k][1] for k in order])
        named = {found[k][0]: track.face_id for k, track in zip(order, tracks, strict=True)}
        for i, ids_of_face in enumerate(history):
            ids_of_face.append(named.get(i))
    return history


def one_id_each(history: list[list[str | None]]) -> bool:
    given = [{face_id for face_id in ids_of_face if face_id} for ids_of_face in history]
    return all(len(ids_of_face) == 1 for ids_of_face in given) and len(set.union(*given)) == len(
        given
    )


@pytest.mark.parametrize(
    ("hz", "speed"),
    [(10.0, 250.0), (10.0, 400.0), (30.0, 250.0), (30.0, 400.0), (30.0, 900.0), (60.0, 1800.0)],
)
@pytest.mark.parametrize("drop", [0.0, 12.0])
def test_faces_that_cross_keep_their_ids(hz: float, speed: float, drop: float) -> None:
    """The rear one disappears behind the front one on the way."""
    seconds = 600.0 / speed
    paths = [
        lambda t: (100.0 + speed * t, 200.0, 80.0),
        lambda t: (700.0 - speed * t, 200.0 + drop, 76.0),
    ]
    history = follow(Tracker(max_gap_s=0.5), paths, seconds, hz=hz)
    if speed == 250.0:
        assert None in history[1]  # else this would show little
    assert one_id_each(history)


def test_a_face_that_passes_another_that_stands_keeps_its_id() -> None:
    paths = [lambda t: (300.0, 200.0, 80.0), lambda t: (100.0 + 300.0 * t, 190.0, 70.0)]
    history = follow(Tracker(max_gap_s=0.5), paths, 1.4)
    assert history[1].count(None) >= 4
    assert one_id_each(history)


def test_three_faces_that_move_a_whole_face_per_image_keep_ids() -> None:
    """Where the first one was the second one is now: nearest would be wrong for all."""
    row = [lambda t, i=i: (100.0 * i + 1000.0 * t, 200.0, 90.0) for i in range(3)]
    start = [square(100.0 * i, 200.0, 90.0) for i in range(3)]
    tracker = Tracker()
    # Two images to learn the motion, at half the speed of the rest.
    ids(tracker, 0.0, *start)
    ids(tracker, 0.05, *(np.add(box, (50, 0, 50, 0)) for box in start))
    known = ids(tracker, 0.1, *(np.add(box, (100, 0, 100, 0)) for box in start))
    assert known == ["f1", "f2", "f3"]
    assert (
        ids(
            tracker,
            0.2,
            *(
                square(
                    *path(0.2),
                )
                for path in row
            ),
        )
        == known
    )


@pytest.mark.parametrize("seed", range(3))
def test_missed_detections_do_not_cost_an_id(seed: int) -> None:
    paths = [
        lambda t: (200.0 + 150.0 * np.sin(2 * t), 200.0 + 40.0 * np.cos(3 * t), 80.0 + 10.0 * t),
        lambda t: (500.0 - 120.0 * np.sin(1.5 * t), 220.0, 60.0),
        lambda t: (800.0, 210.0 + 90.0 * np.sin(4 * t), 70.0),
    ]
    history = follow(Tracker(), paths, 8.0, lost=0.2, seed=seed)
    assert one_id_each(history)


def test_a_hidden_face_that_moves_comes_back_as_itself() -> None:
    tracker = Tracker(max_gap_s=0.5)
    moving = [square(100.0 + 10.0 * i, 200.0, 50.0) for i in range(20)]
    for i in range(6):
        ids(tracker, i / 30, moving[i])
    for i in range(6, 16):
        ids(tracker, i / 30)
    # Ten images later it is two faces away from where it was seen last.
    assert ids(tracker, 16 / 30, moving[16]) == ["f1"]
    # Somebody new right there would not be: too far for a face that stood still.
    still = Tracker(max_gap_s=0.5)
    for i in range(6):
        ids(still, i / 30, moving[5])
    assert ids(still, 16 / 30, moving[16]) == ["f2"]


def test_a_face_of_another_size_in_the_same_place_is_another_one() -> None:
    tracker = Tracker()
    ids(tracker, 0.0, square(100, 100, 50))
    assert ids(tracker, 1 / 30, square(100, 100, 170)) == ["f2"]


def test_all_are_matched_at_once() -> None:
    """The first face is nearest to the box that is the only one the second face can have."""
    tracker = Tracker()
    ids(tracker, 0.0, square(100, 100, 100), square(190, 100, 100))
    assert ids(tracker, 0.0, square(135, 100, 100), square(70, 100, 100)) == ["f2", "f1"]


def test_the_longer_unseen_the_further_away_a_face_may_come_back() -> None:
    """It turned round while it was hidden, or just began to move."""
    tracker = Tracker(max_gap_s=0.5)
    ids(tracker, 0.0, square(100, 100, 50))
    assert ids(tracker, 0.4, square(155, 100, 50)) == ["f1"]
    assert ids(tracker, 0.4 + 1 / 30, square(210, 100, 50)) == ["f2"]


def test_a_face_where_it_was_stays_itself_beside_a_new_one() -> None:
    tracker = Tracker()
    ids(tracker, 0.0, square(100, 100, 100), square(160, 100, 100))
    assert ids(tracker, 0.0, square(110, 100, 100), square(50, 100, 100)) == ["f1", "f3"]


costs = st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 2**32 - 1))


@given(costs, st.booleans())
def test_assignment_is_as_cheap_as_that_of_scipy(shape: tuple[int, int, int], ties: bool) -> None:
    n, m, seed = shape
    matrix = np.random.default_rng(seed).uniform(-2.0, 2.0, (n, m))
    matrix = np.round(matrix) if ties else matrix
    rows, columns = assign(matrix)
    assert len(rows) == len(columns) == min(n, m)
    assert len(set(columns.tolist())) == len(columns)
    assert (np.diff(rows) > 0).all()
    expected = matrix[linear_sum_assignment(matrix)].sum()
    assert matrix[rows, columns].sum() == pytest.approx(expected, abs=1e-9)


boxes = st.lists(
    st.tuples(st.floats(-50, 400), st.floats(-50, 400), st.floats(1, 200), st.floats(1, 200)),
    max_size=6,
).map(lambda rows: np.array([(x, y, x + w, y + h) for x, y, w, h in rows]).reshape(-1, 4))


@given(st.lists(st.tuples(st.floats(-10, 10), boxes), max_size=20))
def test_ids_are_unique_and_none_returns_after_a_reset(images) -> None:
    tracker, before, given_up, previous = Tracker(), set(), set(), -np.inf
    for stamp_s, faces in images:
        tracks = tracker.update(stamp_s, faces)
        now = {track.face_id for track in tracks}
        assert len(now) == len(faces)
        if stamp_s < previous:
            given_up |= before
        assert not now & given_up
        before |= now
        previous = stamp_s


def test_standing_stamps_do_not_collect_faces_without_end() -> None:
    tracker = Tracker()
    for i in range(500):
        tracker.update(0.0, [LEFT + 1000 * i])
    assert len(tracker._faces) < 150


@pytest.mark.parametrize("prefix", ["f", "left_f", "cam1_", "c2D"])
def test_ids_are_a_prefix_and_a_number(prefix: str) -> None:
    assert ids(Tracker(id_prefix=prefix), 0.0, LEFT) == [f"{prefix}1"]


# With "cam" beside "cam1", the 11th face of one and the first of the other would both be cam11.
@pytest.mark.parametrize("prefix", ["", "1f", "f-", "ü", "f\n", "f/", "cam1", "f_0"])
def test_ids_must_be_names(prefix: str) -> None:
    with pytest.raises(ValueError, match="id_prefix: expected a letter"):
        Tracker(id_prefix=prefix)


def test_settings_change_live_and_bad_ones_do_not() -> None:
    tracker = Tracker()
    tracker.update(0.0, [LEFT])
    tracker.settings = replace(tracker.settings, max_gap_s=2.0)
    for changes in ({"max_gap_s": -1.0}, {"max_gap_s": np.nan}, {"min_hits": 0}):
        with pytest.raises(ValueError, match="expected"):
            tracker.settings = replace(tracker.settings, **changes)
    assert ids(tracker, 1.5, LEFT) == ["f1"]


def test_overlap_of_known_boxes() -> None:
    unit = [0, 0, 2, 2]
    others = [[0, 0, 2, 2], [1, 0, 3, 2], [2, 2, 4, 4], [-1, -1, 3, 3]]
    np.testing.assert_allclose(iou([unit], others), [[1.0, 2 / 6, 0.0, 4 / 16]])
