# SPDX-License-Identifier: Apache-2.0
"""Look through data sets before training on them: `training.checks.check_data KIND:DIR ...`.

Reads every label, finds the face of every picture with the pipeline's detector (the boxes are
kept for training and evaluation), and says what is there and what is left out, with the file and
the reason. Exits with 1 when something is broken or empty. `--out report.csv` has all of it.
"""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from headpose_core.learning.data.datasets import FaceReader
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.learning.data.skipped_faces import DataError, Omission
from headpose_core.learning.run.checkpoint import write_text

SHOWN = 20


@dataclass(frozen=True)
class CheckConfig:
    """What to look through."""

    data: tyro.conf.Positional[tuple[str, ...]]
    """Data sets as KIND:ROOT; a directory alone holds rendered shards."""
    out: Path | None = None
    """Table of all that is left out: file, reason, and whether it is broken."""


def describe(faces: FaceReader) -> str:
    """Number of faces, and the spread of their labels."""
    if not len(faces):
        return "  no face that can be used"
    lines = [f"  {len(faces)} faces in {len(set(faces.groups.tolist()))} groups"]
    missed = int((~faces.detected).sum())
    if missed:
        lines.append(f"  {missed} with a box that is not the detector's")
    for name, angles in zip(("yaw", "pitch", "roll"), faces.angles_deg.T, strict=True):
        known = angles[np.isfinite(angles)]
        if len(known):
            low, middle, high = np.percentile(known, (0, 50, 100))
            beyond = [f"{(np.abs(known) > limit).mean():.0%} > {limit}" for limit in (30, 60)]
            text = f"  {name:5} {low:+6.1f} to {high:+6.1f}, median {middle:+5.1f}; beyond: "
            lines.append(text + ", ".join(beyond))
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1)
    low, middle, high = np.percentile(sides, (0, 50, 100))
    lines.append(f"  face boxes {low:.0f} to {high:.0f} pixels, median {middle:.0f}")
    return "\n".join(lines)


def list_omissions(omissions: list[Omission]) -> str:
    """How many faces are left out by which rule, and the first broken files."""
    broken = [one for one in omissions if one.broken]
    counted: dict[str, int] = {}
    for one in omissions:
        kind = "broken" if one.broken else "left out"
        counted[f"{kind}: {one.reason}"] = counted.get(f"{kind}: {one.reason}", 0) + 1
    lines = [f"  {text}: {count}" for text, count in counted.items()]
    lines += [f"    {one}" for one in broken[:SHOWN]]
    if len(broken) > SHOWN:
        lines.append(f"    and {len(broken) - SHOWN} more")
    return "\n".join(lines)


def check(config: CheckConfig) -> int:
    """Print what is there; returns how many files are broken, or data sets empty."""
    omissions: list[Omission] = []
    empty = 0
    for source in config.data:
        pool = FacePool([source], holdout_share=0.0)
        pool.rescan()
        print(source)
        print(describe(pool))
        if pool.report.omissions:
            print(list_omissions(pool.report.omissions))
        omissions += pool.report.omissions
        empty += not len(pool)
    if config.out:
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(("where", "reason", "broken"))
        rows.writerows((one.where, one.reason, int(one.broken)) for one in omissions)
        write_text(config.out, table.getvalue())
        print(config.out)
    return empty + sum(one.broken for one in omissions)


def main() -> int:
    """Command line; returns the exit code."""
    try:
        return 1 if check(tyro.cli(CheckConfig, description=__doc__)) else 0
    except DataError as error:
        print(f"check_data: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
