# SPDX-License-Identifier: Apache-2.0
"""300W-LP, 300W-LPA and AFLW2000-3D: a picture beside a MATLAB file with pose and landmarks.

`Pose_Para` starts with pitch, yaw, roll in radians (paper convention). The box is the tight one
about the 68 landmarks: `pt3d_68` (3, 68) in AFLW2000-3D, `pt2d` (2, 68) in 300W-LP.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headpose_core.learning.data.readers.mat_files import read_numbers
from headpose_core.learning.data.readers.picture_files import Entry, has_area, paired, usable
from headpose_core.learning.data.skipped_faces import DataError, Report
from headpose_core.types import FloatArray

# Folders of pictures; the others in the archive are code and landmarks.
PARTS = ("AFW", "HELEN", "IBUG", "LFPW")
FLIPPED = "_Flip"


def read_aflw2000(root: Path, report: Report) -> Iterator[Entry]:
    """AFLW2000-3D: `image*.jpg` beside `image*.mat`. Research data: evaluation only."""
    stems = paired(root, ".jpg", ".mat", report) if root.is_dir() else []
    if not stems:
        raise DataError(f"expected image*.jpg and image*.mat of AFLW2000 in {root}")
    for stem in stems:
        yield from _entry(stem, stem.name, report)


def read_300w_lp(root: Path, report: Report) -> Iterator[Entry]:
    """300W-LP or 300W-LPA: AFW, HELEN, IBUG, LFPW and their flipped halves in `*_Flip`.

    All poses that were synthesised from one photo, flipped or not, are one group:
    `AFW_Flip/AFW_134212_1_0` belongs to `AFW_134212_1`.
    """
    folders = [root / f"{part}{half}" for part in PARTS for half in ("", FLIPPED)]
    folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        raise DataError(f"expected folders {', '.join(PARTS)} and *{FLIPPED} of 300W-LP in {root}")
    for folder in folders:
        for stem in paired(folder, ".jpg", ".mat", report):
            photo, _, pose = stem.name.rpartition("_")
            yield from _entry(stem, photo if pose.isdigit() and photo else stem.name, report)


def _entry(stem: Path, group: str, report: Report) -> Iterator[Entry]:
    # A stem may contain dots: endings are added, never replaced.
    label = stem.with_name(f"{stem.name}.mat")
    try:
        box, angles_deg = read_label(label)
    except DataError as error:
        report.broken(label, str(error))
        return
    if usable(label, angles_deg, report) and has_area(label, box, report):
        yield Entry(stem.with_name(f"{stem.name}.jpg"), box, angles_deg, group)


def read_label(path: Path) -> tuple[NDArray[np.float32], FloatArray]:
    """Landmark box (4,) and yaw, pitch, roll (3,) in degrees of a label file.

    Raises DataError that says in few words what is wrong with it.
    """
    label = read_numbers(path)
    nothing = np.empty(0)
    pose = label.get("Pose_Para", nothing).ravel()
    if len(pose) < 3:
        raise DataError("no Pose_Para in the label file")
    points = label.get("pt3d_68", label.get("pt2d", nothing))
    if points.ndim != 2 or points.shape[0] not in (2, 3) or points.shape[1] != 68:
        raise DataError("no 68 landmarks in the label file")
    pitch, yaw, roll = np.degrees(pose[:3])
    box = np.concatenate([points[:2].min(axis=1), points[:2].max(axis=1)])
    return box.astype(np.float32), np.array([yaw, pitch, roll])
