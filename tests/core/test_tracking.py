# SPDX-License-Identifier: Apache-2.0
"""Ids along a track: constant, never given twice, gone after the gap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpose_core.tracking import Tracker, iou

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


def test_age_counts_images_without_the_face_and_confirmation_does_not() -> None:
    tracker = Tracker(min_hits=3)
    tracker.update(0.0, [LEFT])
    tracker.update(0.1, [])
    (track,) = tracker.update(0.2, [LEFT])
    assert (track.face_id, track.age, track.confirmed) == ("f1", 3, False)


def test_a_face_comes_back_within_the_gap_only() -> None:
    tracker = Tracker(max_gap_s=0.3)
    assert ids(tracker, 1.0, LEFT) == ["f1"]
    assert ids(tracker, 1.29, LEFT) == ["f1"]
    assert ids(tracker, 1.60, LEFT) == ["f2"]


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


boxes = st.lists(
    st.tuples(st.floats(-50, 400), st.floats(-50, 400), st.floats(1, 200), st.floats(1, 200)),
    max_size=6,
).map(lambda rows: np.array([(x, y, x + w, y + h) for x, y, w, h in rows]).reshape(-1, 4))


@given(st.lists(st.tuples(st.floats(-10, 10), boxes), max_size=20))
def test_ids_are_unique_in_an_image_and_a_lost_one_never_returns_after_a_reset(images) -> None:
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
    for i in range(3000):
        tracker.update(0.0, [LEFT + 1000 * i])
    assert len(tracker._faces) < 1500


@pytest.mark.parametrize("prefix", ["", "1f", "f-", "ü", "f\n", "f/"])
def test_ids_must_be_names(prefix: str) -> None:
    with pytest.raises(ValueError, match="id_prefix: expected a letter"):
        Tracker(id_prefix=prefix)


def test_settings_change_live_and_bad_ones_do_not() -> None:
    tracker = Tracker()
    tracker.update(0.0, [LEFT])
    tracker.configure(max_gap_s=2.0)
    for changes in ({"max_gap_s": -1.0}, {"max_gap_s": np.nan}, {"min_hits": 0}):
        with pytest.raises(ValueError, match="expected"):
            tracker.configure(**changes)
    assert ids(tracker, 1.5, LEFT) == ["f1"]


def test_overlap_of_known_boxes() -> None:
    unit = [0, 0, 2, 2]
    others = [[0, 0, 2, 2], [1, 0, 3, 2], [2, 2, 4, 4], [-1, -1, 3, 3]]
    np.testing.assert_allclose(iou([unit], others), [[1.0, 2 / 6, 0.0, 4 / 16]])
