# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from headpose_core.learning.data.augment import AugmentConfig
from headpose_core.learning.data.datasets import (
    FaceReader,
    Subset,
    ViewBatches,
    group_ids,
    in_holdout,
    plain_views,
)
from headpose_core.learning.data.shards import ShardFaces
from tests.learning.drawn_faces import write_shard


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> ShardFaces:
    """Six drawn faces, in boxes of 104 x 112 pixels."""
    return ShardFaces(write_shard(tmp_path_factory.mktemp("faces"), 0, 6))


def views_of(faces: FaceReader, indices: list[int], **changes: int) -> list[bytes]:
    """The pixels and labels of some views."""
    settings = {"crop_size": 48, "seed": 0, "first_view": 0} | changes
    batches = ViewBatches(faces, np.array(indices), AugmentConfig(), **settings)
    return [
        crop.tobytes() + label.tobytes()
        for crop, label in map(batches.__getitem__, range(len(batches)))
    ]


def test_a_resumed_epoch_has_the_views_that_an_unbroken_one_has(faces: ShardFaces) -> None:
    whole = views_of(faces, [3, 1, 4, 1, 5])
    assert views_of(faces, [4, 1, 5], first_view=2) == whole[2:]
    assert whole[1] != whole[3], "a face looks different each time"
    assert views_of(faces, [3, 1, 4, 1, 5], seed=1) != whole


def test_a_bounded_number_of_views_comes_again(faces: ShardFaces) -> None:
    first = views_of(faces, [2, 2, 2], views_per_face=2)
    assert first[0] == first[2] != first[1]
    # Which of them depends on the place in the run alone.
    assert views_of(faces, [2], first_view=7, views_per_face=2) == [first[1]]


def test_plain_views_are_padded_or_stretched(faces: ShardFaces) -> None:
    padded, labels = plain_views(faces, np.array([0, 5]), 112)
    stretched, _ = plain_views(faces, np.array([0, 5]), 112, "stretch")
    assert padded.shape == stretched.shape == (2, 112, 112, 3)
    assert labels == pytest.approx(faces.angles_deg[[0, 5]], abs=1e-4)
    # A disc that is as wide as the box, and lower than it: padding leaves it round, stretching
    # takes it to the sides and only there.
    for crops, reaches_the_sides in ((padded, False), (stretched, True)):
        disc = crops[0].astype(int).sum(axis=2) > 3 * 150
        assert disc[44:68, 2].all() == disc[44:68, -3].all() == reaches_the_sides
        assert not disc[2].any() and not disc[-3].any()


def test_a_subset_keeps_the_given_order(faces: ShardFaces) -> None:
    some = Subset(faces, np.array([2, 0]))
    assert [some[index].name for index in range(len(some))] == ["shard-00000/2", "shard-00000/0"]
    assert (some.angles_deg == faces.angles_deg[[2, 0]]).all()
    assert some.groups.tolist() == [2, 0]
    again = Subset(some, np.array([False, True]))
    assert len(again) == 1 and again[0].name == "shard-00000/0"


def test_names_of_groups_have_the_same_numbers_everywhere() -> None:
    ids = group_ids(["anna", "ben", "anna"])
    assert ids[0] == ids[2] != ids[1]
    assert ids[0] == 59702542876088032, (
        "written down so that a hold-out never changes with the code"
    )


@pytest.mark.parametrize("start, step", [(0, 1), (10**9, 1), (0, 1000)])
def test_the_holdout_has_the_share_that_was_asked_for(start: int, step: int) -> None:
    seeds = start + step * np.arange(20000, dtype=np.int64)
    assert in_holdout(seeds, 0.02).mean() == pytest.approx(0.02, abs=0.006)
    assert not in_holdout(seeds, 0.0).any()
    named = group_ids([f"person {number}" for number in seeds])
    assert in_holdout(named, 0.02).mean() == pytest.approx(0.02, abs=0.006)
