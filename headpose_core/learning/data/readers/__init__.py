# SPDX-License-Identifier: Apache-2.0
"""Data sets in their official layouts, opened by kind: `open_faces("aflw2000", root)`.

A kind is a function that turns a root into labelled files (`files.Entry`) and reports what it
leaves out; add one here and training, evaluation and every command know it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from headpose_core.learning.data.readers.biwi import read_biwi, read_biwi_ray
from headpose_core.learning.data.readers.csv_table import read_csv
from headpose_core.learning.data.readers.landmark_mats import read_300w_lp, read_aflw2000
from headpose_core.learning.data.readers.picture_files import Entry, FileFaces
from headpose_core.learning.data.readers.pointing04 import read_pointing04
from headpose_core.learning.data.skipped_faces import DataError, OnError, Report

__all__ = ["KINDS", "FileFaces", "open_faces", "split_source"]

Read = Callable[[Path, Report], Iterator[Entry]]


@dataclass(frozen=True)
class Kind:
    """How a kind of data set is read.

    least_overlap: intersection over union from which on a detected face is the labelled one.
    """

    read: Read
    least_overlap: float = 0.4


KINDS: dict[str, Kind] = {
    "300w-lp": Kind(read_300w_lp),
    # The same layout with more synthesised poses.
    "300w-lpa": Kind(read_300w_lp),
    "aflw2000": Kind(read_aflw2000),
    # One person in a picture, and a box that is a guess from the head's centre.
    "biwi": Kind(read_biwi, least_overlap=0.15),
    "biwi-ray": Kind(read_biwi_ray, least_overlap=0.15),
    # One person again, in boxes drawn by hand: at 0.4 every sixteenth face would be missed.
    "pointing04": Kind(read_pointing04, least_overlap=0.2),
    "csv": Kind(read_csv),
}
# Directories of shards: rendered ones, data sets that `training.checks.pack` has packed, and what
# is no face (`training.synthesize --no-faces`), for which a network learns to say nothing.
RENDERED, PACKED, NO_FACES = SHARDS = ("rendered", "packed", "no-faces")


def open_faces(kind: str, root: Path, on_error: OnError = "skip") -> FileFaces:
    """The labelled faces of a data set, with the boxes of its labels.

    kind: one of `KINDS`. root: its directory; of "csv" the table. Raises DataError when there
    is nothing of that kind, or something is broken and `on_error` is "refuse".
    """
    if kind not in KINDS:
        raise DataError(f"expected a data set of {', '.join(KINDS)}, got '{kind}'")
    report, root = Report(on_error), Path(root)
    faces = FileFaces(root, list(KINDS[kind].read(root, report)), report)
    faces.least_overlap = KINDS[kind].least_overlap
    return faces


def split_source(source: str | Path) -> tuple[str, Path]:
    """Kind and root of `kind:root`; a path alone is a directory of rendered shards."""
    kind, colon, root = str(source).partition(":")
    if colon and kind in (*KINDS, *SHARDS):
        return kind, Path(root)
    if colon and not Path(source).exists():
        names = ", ".join((*SHARDS, *KINDS))
        raise DataError(f"expected KIND:DIRECTORY with a kind of {names}, got '{source}'")
    return RENDERED, Path(source)
