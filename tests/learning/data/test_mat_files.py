# SPDX-License-Identifier: Apache-2.0
"""The numbers that SciPy reads from the same files; and files that are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.io import loadmat, savemat

from headpose_core.learning.data.readers.mat_files import read_numbers
from headpose_core.learning.data.skipped_faces import DataError
from tests.learning.official_layouts import pose_para

KINDS = ("f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?")


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_are_those_that_were_written(tmp_path: Path, compressed: bool) -> None:
    """In small elements and long ones, of every type, in MATLAB's order."""
    numbers = {
        f"a_{number}_{count}": np.arange(count * 2).reshape(2, count).astype(kind)
        for number, kind in enumerate(KINDS)
        for count in (0, 1, 5)
    }
    numbers |= {"deep": np.arange(24.0).reshape(2, 3, 4), "x": np.array([[-1.5]])}
    others = {
        "text": "none",
        "complex": np.array([[1j, 2.0]]),
        "cells": np.array([1.0, "a"], dtype=object),
        "structure": {"Pose_Para": np.zeros(7)},
        "sparse": sparse.eye(3, format="csc"),
    }
    savemat(tmp_path / "all.mat", {**others, **numbers}, do_compression=compressed)
    found = read_numbers(tmp_path / "all.mat")
    assert found.keys() == numbers.keys()
    for name, array in numbers.items():
        assert found[name].dtype == np.float64
        np.testing.assert_array_equal(found[name], array)


def test_the_official_files_as_scipy_reads_them(shared_dir: Path) -> None:
    files = sorted((shared_dir / "data" / "aflw2000").glob("*.mat"))
    assert len(files) == 1000
    for path in files:
        found, expected = read_numbers(path), loadmat(path)
        for name in ("Pose_Para", "pt2d", "pt3d_68"):
            np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_file_is_reported_and_nothing_else_happens(
    tmp_path: Path, compressed: bool
) -> None:
    """Each byte changed, and the end cut off at each: SciPy's reader crashes at some of them."""
    path = tmp_path / "label.mat"
    label = {"Pose_Para": pose_para((10.0, 0.0, 0.0)), "pt2d": np.ones((2, 3)), "text": "a"}
    savemat(path, label, do_compression=compressed)
    whole, right = path.read_bytes(), read_numbers(path)
    reasons = set()

    def read(data: bytes) -> list[str]:
        """The names that are found; none when the file is reported."""
        path.write_bytes(data)
        try:
            found = read_numbers(path)
        except DataError as error:
            reasons.add(str(error))
            return []
        # Without a checksum a changed number cannot be told.
        if compressed or len(data) < len(whole):
            for name, array in found.items():
                np.testing.assert_array_equal(array, right[name])
        return [*found]

    ends = {len(read(whole[:place])) for place in range(len(whole))}
    assert ends == {0, 1, 2}  # cut between two arrays, the file is a shorter one
    for place in range(len(whole)):
        for value in {0, 5, 8, 10, 255, whole[place] ^ 1, whole[place] ^ 128}:
            read(whole[:place] + bytes([value]) + whole[place + 1 :])
    assert reasons == {"not a MATLAB 5 file", "a damaged MATLAB file"}


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_numbers(tmp_path)
