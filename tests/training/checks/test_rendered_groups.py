# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.learning.drawn_faces import write_shard
from training.checks.rendered_groups import (
    Face,
    GroupsConfig,
    group_table,
    interval,
    read_faces,
    skin_tone,
)

LANDMARKS = np.full((68, 2), 50.0, np.float32)


def write_renders(folder: Path) -> Path:
    """A shard of four drawn faces of two people, with what the renderer says of them."""
    path = write_shard(folder, number=0, count=4)
    with np.load(path) as archive:
        columns = dict(archive)
    columns |= {
        "sex": np.array(["male", "male", "female", "female"]),
        "age": np.array(["young"] * 4),
        "glasses": np.array([True, True, False, False]),
        "mask": np.array([True, False, False, False]),
        "group": np.array([7, 7, 8, 8]),
        "landmarks": np.tile(LANDMARKS, (4, 1, 1)),
    }
    np.savez(path, **columns)
    return folder


def write_table(path: Path, names: list[str]) -> Path:
    """Predictions that are 1, 2, 3 ... degrees off in each angle."""
    angles = ("yaw", "pitch", "roll")
    lines = [",".join(["name", *(f"{what}_{a}" for what in ("label", "is") for a in angles)])]
    for error, name in enumerate(names, start=1):
        lines.append(",".join([name, "40", "0", "0", str(40 + error), str(-error), str(error)]))
    path.write_text("\n".join(lines))
    return path


def test_errors_are_those_of_the_faces_that_belong_to_a_group(tmp_path: Path) -> None:
    table = write_table(tmp_path / "p.csv", ["shard-00000/0", "shard-00000/1", "shard-00000/3"])
    faces = read_faces(GroupsConfig(table, write_renders(tmp_path)))
    assert [face.error for face in faces] == [1.0, 2.0, 3.0]
    assert [face.person for face in faces] == [7, 7, 8]
    lines = group_table(faces).splitlines()
    assert "| sex | female | 1 | 3.00 | 3.00 to 3.00 | - |" in lines
    assert "| sex | male | 2 | 1.50 | 1.50 to 1.50 | - |" in lines
    assert [line.split(" | ")[1] for line in lines if line.startswith("| worn")] == [
        "glasses", "mask", "neither"
    ]  # fmt: skip


def test_faces_of_other_shards_are_refused(tmp_path: Path) -> None:
    table = write_table(tmp_path / "p.csv", ["shard-00000/0", "shard-00009/0"])
    with pytest.raises(ValueError, match="found 1 of 2; give the folder that was measured"):
        read_faces(GroupsConfig(table, write_renders(tmp_path)))


@pytest.mark.parametrize(
    ("colour", "tone"),
    [((241, 205, 180), "light"), ((190, 140, 105), "tan"), ((60, 40, 30), "dark")],
)
def test_the_tone_is_that_of_the_brighter_cheek(colour: tuple[int, int, int], tone: str) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 40:60] = colour
    left_in_the_dark = LANDMARKS.copy()
    left_in_the_dark[[41, 31, 48, 3]] = 5.0
    assert skin_tone(image, left_in_the_dark) == tone


def test_the_interval_is_over_people_and_not_over_their_pictures() -> None:
    def faces(persons: list[int]) -> list[Face]:
        return [Face(float(n % 2), 0.0, person, {}) for n, person in enumerate(persons)]

    few = interval(faces([0, 1] * 50))
    many = interval(faces(list(range(100))))
    assert few == (0.0, 1.0)
    assert 0.3 < many[0] < many[1] < 0.7
