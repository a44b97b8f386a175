# SPDX-License-Identifier: Apache-2.0
"""People's own data: a table with a line for each face.

    path,x1,y1,x2,y2,yaw,pitch,roll,group
    cabin/0001.png,210,96,318,236,-12.5,3.0,1.8,driver-a

The first line names the columns, in any order; others may stand among them. `path` is relative
to the table's folder. The box is in pixels, x2 and y2 behind the last one. The angles are degrees
in the paper's convention: yaw > 0 nose toward image left, pitch > 0 up, roll > 0 clockwise in
the image. `group` (optional) names a person, drive or video whose faces are never split between
training and hold-out; without it every picture is its own.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from headpose_core.learning.data.readers.picture_files import Entry, has_area, usable
from headpose_core.learning.data.skipped_faces import DataError, Report

BOX, ANGLES = ("x1", "y1", "x2", "y2"), ("yaw", "pitch", "roll")


def read_csv(table: Path, report: Report) -> Iterator[Entry]:
    """Faces of a table."""
    try:
        file = table.open(newline="", encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{table}: expected a table of faces ({error.strerror})") from error
    try:
        with file:
            yield from _rows(table, csv.DictReader(file), report)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: expected a table of faces in UTF-8 ({error})") from error


def _rows(table: Path, rows: csv.DictReader[str], report: Report) -> Iterator[Entry]:
    """Faces of an open table."""
    missing = {"path", *BOX, *ANGLES} - set(rows.fieldnames or ())
    if missing:
        raise DataError(f"{table}: expected the columns {sorted(missing)} in its first line")
    for row in rows:
        yield from _entry(table.parent, row, f"{table}, line {rows.line_num}", report)


def _entry(
    folder: Path, row: dict[str, str | None], where: str, report: Report
) -> Iterator[Entry]:
    try:
        box = np.array([float(row[name] or "") for name in BOX], np.float32)
        angles_deg = np.array([float(row[name] or "") for name in ANGLES])
    except ValueError:
        report.broken(where, "a number is missing")
        return
    picture = folder / (row["path"] or "")
    if not picture.is_file():
        report.broken(where, "no such picture")
    elif usable(where, angles_deg, report) and has_area(where, box, report):
        yield Entry(picture, box, angles_deg, row.get("group") or str(row["path"]))
