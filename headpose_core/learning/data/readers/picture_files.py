# SPDX-License-Identifier: Apache-2.0
"""Labelled faces whose pictures are files."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headpose_core.images.image_files import read_image
from headpose_core.learning.data.datasets import LabelledFace, group_ids
from headpose_core.learning.data.skipped_faces import LARGEST_ANGLE_DEG, Report
from headpose_core.types import FloatArray

# No picture is so large; a crop of such a box would fill the memory.
LARGEST_COORDINATE = 1e5


@dataclass(frozen=True)
class Entry:
    """A labelled file.

    picture: its path. box: (4,) x1, y1, x2, y2 pixels, as the labels have it.
    angles_deg: (3,) yaw, pitch, roll, paper convention. group: name of what may not be split
    between training and hold-out.
    """

    picture: Path
    box: NDArray[np.float32]
    angles_deg: FloatArray
    group: str


class FileFaces:
    """A `FaceReader` of entries under `root`."""

    least_overlap = 0.4

    def __init__(self, root: Path, entries: Sequence[Entry], report: Report) -> None:
        self.root = root if root.is_dir() else root.parent
        self.report = report
        self.pictures = [entry.picture for entry in entries]
        self.boxes = np.array([entry.box for entry in entries], np.float32).reshape(-1, 4)
        angles = [entry.angles_deg for entry in entries]
        self.angles_deg = np.array(angles, np.float64).reshape(-1, 3)
        self.detected = np.zeros(len(entries), bool)
        self.groups = group_ids([entry.group for entry in entries])

    @property
    def skipped(self) -> Counter[str]:
        """What was left out, by reason."""
        return self.report.skipped

    def only(self, indices: NDArray[np.int64]) -> FileFaces:
        """The same with some of the faces, in this order."""
        some = copy.copy(self)
        some.pictures = [self.pictures[index] for index in indices]
        for column in ("boxes", "angles_deg", "detected", "groups"):
            setattr(some, column, getattr(self, column)[indices])
        return some

    def name(self, index: int) -> str:
        """The picture's path below the root, without its ending."""
        picture = self.pictures[index]
        inside = picture.is_relative_to(self.root)
        return (picture.relative_to(self.root) if inside else picture).with_suffix("").as_posix()

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> LabelledFace:
        """Face by index. Raises ImageError that names a file which cannot be read."""
        image = read_image(self.pictures[index])
        return LabelledFace(self.name(index), image, self.boxes[index], self.angles_deg[index])


def paired(folder: Path, picture: str, label: str, report: Report) -> list[Path]:
    """Paths, less these endings, of which there is a picture and a label; others are reported."""

    def stems(ending: str) -> set[str]:
        return {path.name[: -len(ending)] for path in folder.glob(f"*{ending}")}

    pictures, labels = stems(picture), stems(label)
    for stem in sorted(pictures - labels):
        report.broken(folder / (stem + picture), "no label file beside the picture")
    for stem in sorted(labels - pictures):
        report.broken(folder / (stem + label), "no picture beside the label file")
    return [folder / stem for stem in sorted(pictures & labels)]


def usable(where: object, angles_deg: FloatArray, report: Report) -> bool:
    """Whether angles can be a label of this system; if not, the report says why."""
    if not np.isfinite(angles_deg).all():
        report.broken(where, "the label is no angle")
        return False
    if np.abs(angles_deg).max() > LARGEST_ANGLE_DEG:
        report.leave_out(where, f"angle beyond {LARGEST_ANGLE_DEG:g} degrees")
        return False
    return True


def has_area(where: object, box: NDArray[np.float32], report: Report) -> bool:
    """Whether a box is one; if not, the report says so."""
    finite = bool(np.isfinite(box).all()) and float(np.abs(box).max()) <= LARGEST_COORDINATE
    if not finite:
        report.broken(where, "the labelled box is in no picture")
    elif not (box[2:] > box[:2]).all():
        report.broken(where, "the labelled box is empty")
        return False
    return finite
