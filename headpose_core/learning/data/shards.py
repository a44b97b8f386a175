# SPDX-License-Identifier: Apache-2.0
"""Shards: many labelled context images in one .npz file, rendered or packed from a data set.

A shard holds JPEG context images (the padded face square and 35 % around it), boxes in their
pixels, and labels. Shards may be added while a training run reads the directory. All of them are
kept in memory, compressed; one face is decoded ten times as fast as from a photo.
"""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.geometry.rotation import angles_from_matrix, matrix_from_angles
from headpose_core.learning.data.datasets import LabelledFace
from headpose_core.learning.data.detected_boxes import MISSED
from headpose_core.learning.data.skipped_faces import LARGEST_ANGLE_DEG, DataError, OnError, Report
from headpose_core.types import FloatArray, Image

NOT_UNIQUE = "label has no unique angles"
FIELDS = ("jpeg", "offsets", "angles_deg", "box", "detected", "seed")


@dataclass(frozen=True)
class Shard:
    """One file, compressed images in memory (about 10 kB a face).

    jpeg: all JPEG files, concatenated. offsets: (N + 1,) where each starts.
    angles_deg: (N, 3) float64. boxes: (N, 4) float32, pixels of the context image.
    detected: (N,) whether the box is the detector's; else it is fitted to what it would say.
    seeds: (N,) int64, the seed each face was rendered from.
    groups: (N,) int64, its person; in shards that do not say, the seed.
    """

    path: Path
    jpeg: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    angles_deg: FloatArray
    boxes: NDArray[np.float32]
    detected: NDArray[np.bool_]
    seeds: NDArray[np.int64]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.seeds)

    def image(self, index: int) -> Image:
        """Context image (H, W, 3) uint8 RGB of a face, at most 152 pixels high and wide."""
        data = self.jpeg[self.offsets[index] : self.offsets[index + 1]]
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if decoded is None:
            raise DataError(f"face {index} of {self.path} is not a JPEG; make the shard anew")
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def read_shard(path: Path) -> Shard:
    """Read a shard. Raises DataError that names the file and what it lacks."""
    try:
        with np.load(path) as archive:
            missing = [name for name in FIELDS if name not in archive]
            arrays = {name: archive[name] for name in (*FIELDS, "group") if name in archive}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as a shard ({error})") from error
    if missing:
        raise DataError(f"expected arrays {', '.join(FIELDS)} in {path}; {missing} missing")
    shard = Shard(
        path=path,
        jpeg=arrays["jpeg"],
        offsets=arrays["offsets"].astype(np.int64),
        angles_deg=arrays["angles_deg"].astype(np.float64),
        boxes=arrays["box"].astype(np.float32),
        detected=arrays["detected"].astype(bool),
        seeds=arrays["seed"].astype(np.int64),
        groups=arrays.get("group", arrays["seed"]).astype(np.int64),
    )
    count = len(shard)
    parts = (shard.offsets, shard.angles_deg, shard.boxes, shard.detected, shard.groups)
    shapes = tuple(part.shape for part in parts)
    if shapes != ((count + 1,), (count, 3), (count, 4), (count,), (count,)):
        raise DataError(f"arrays of {path} disagree about the number of faces: {shapes}")
    return shard


class ShardFaces:
    """A `FaceReader` of the usable faces of one shard.

    `detected_only` leaves out the faces that the detector misses: the network never gets them.
    `zero_pose_deg` turns every label, see `turn_zero`. Not `labelled` are pictures of what is no
    face, whose angles are NaN. A shard that cannot be read is empty and
    reported as broken, and so is a face whose picture is torn.
    """

    def __init__(
        self,
        path: Path,
        detected_only: bool = False,
        zero_pose_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
        on_error: OnError = "skip",
        labelled: bool = True,
    ) -> None:
        self.report = Report(on_error)
        try:
            shard = read_shard(path)
        except DataError as error:
            self.report.broken(path, f"no shard ({error})")
            shard = _empty(path)
        self._shard = shard
        angles_deg = turn_zero(shard.angles_deg, np.array(zero_pose_deg))
        torn = ~_whole_jpegs(shard)
        finite = np.isfinite(angles_deg).all(axis=1) | (not labelled)
        missed = finite & ~shard.detected & detected_only
        for number in np.flatnonzero(torn):
            self.report.broken(f"{path}, face {number}", "the picture is torn")
        for reason, out in ((NOT_UNIQUE, ~finite & ~torn), (MISSED, missed & ~torn)):
            for number in np.flatnonzero(out):
                self.report.leave_out(f"{path}, face {number}", reason)
        self._numbers = np.flatnonzero(finite & ~missed & ~torn)
        self.angles_deg = angles_deg[self._numbers]
        self.boxes, self.detected = shard.boxes[self._numbers], shard.detected[self._numbers]
        self.groups = shard.groups[self._numbers]

    @property
    def skipped(self) -> Counter[str]:
        """What was left out, by reason."""
        return self.report.skipped

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> LabelledFace:
        number = int(self._numbers[index])
        return LabelledFace(
            f"{self._shard.path.stem}/{number}",
            self._shard.image(number),
            self.boxes[index],
            self.angles_deg[index],
            bool(self.detected[index]),
        )


def _whole_jpegs(shard: Shard) -> NDArray[np.bool_]:
    """Which pictures (N,) begin and end as a JPEG file does; looking at each costs nothing."""
    starts, ends = shard.offsets[:-1], shard.offsets[1:]
    inside = (starts >= 0) & (ends - starts >= 4) & (ends <= len(shard.jpeg))
    whole = inside.copy()
    marks = ((starts, 0xFF), (starts + 1, 0xD8), (ends - 2, 0xFF), (ends - 1, 0xD9))
    for places, byte in marks:
        whole[inside] &= shard.jpeg[places[inside]] == byte
    return np.asarray(whole)


def _empty(path: Path) -> Shard:
    nothing = np.empty(0, np.int64)
    return Shard(
        path=path,
        jpeg=np.empty(0, np.uint8),
        offsets=np.zeros(1, np.int64),
        angles_deg=np.empty((0, 3)),
        boxes=np.empty((0, 4), np.float32),
        detected=np.empty(0, bool),
        seeds=nothing,
        groups=nothing,
    )


def turn_zero(angles_deg: FloatArray, zero_pose_deg: FloatArray) -> FloatArray:
    """Labels (N, 3) after a constant rotation (3,) in the head's own frame: R becomes R Z.

    NaN where the result has no unique angles: yaw at or beyond 90 degrees.
    """
    if not np.any(zero_pose_deg):
        return angles_deg
    turned = matrix_from_angles(angles_deg) @ matrix_from_angles(zero_pose_deg)
    result = angles_from_matrix(turned)
    unique = (np.abs(angles_deg[:, 0]) < 90.0) & (np.abs(result[:, 1:]) < LARGEST_ANGLE_DEG).all(
        axis=1
    )
    return np.where(unique[:, None], result, np.nan)
