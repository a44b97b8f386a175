# SPDX-License-Identifier: Apache-2.0
"""Real data are found by a variable or by what is in the folder, never by its name alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.places import KNOWN_BY, NEEDS_DATA, TEST_DATA, real_data


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with an unrelated folder called ``shared`` beside it."""
    (tmp_path / "shared" / "music").mkdir(parents=True)
    return tmp_path / "clone"


def with_data(folder: Path) -> Path:
    (folder / KNOWN_BY).parent.mkdir(parents=True)
    (folder / KNOWN_BY).touch()
    return folder


def test_an_unrelated_folder_called_shared_is_not_taken(clone: Path) -> None:
    assert real_data({}, clone) is None
    assert TEST_DATA in NEEDS_DATA


def test_a_folder_with_the_known_photo_is_taken(clone: Path) -> None:
    folder = with_data(clone.parent / "shared")
    assert real_data({}, clone) == folder
    assert real_data({TEST_DATA: ""}, clone) == folder


def test_the_variable_comes_first(clone: Path) -> None:
    with_data(clone.parent / "shared")
    elsewhere = with_data(clone.parent / "elsewhere")
    assert real_data({TEST_DATA: str(elsewhere)}, clone) == elsewhere


def test_a_variable_that_names_no_data_is_refused(clone: Path) -> None:
    for wrong in (clone.parent / "shared", clone.parent / "absent"):
        with pytest.raises(ValueError, match=f"{TEST_DATA}: expected a folder with"):
            real_data({TEST_DATA: str(wrong)}, clone)
