# SPDX-License-Identifier: Apache-2.0
"""Shards of rendered faces: many labelled context images in one .npz file.

A shard holds JPEG context images (the padded face square and 35 % around it), boxes in their
pixels, and labels. Shards may be added while a training run reads the directory.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.learning.datasets import LabelledFace
from headpose_core.rotation import angles_from_matrix, matrix_from_angles
from headpose_core.types import FloatArray, Image

FIELDS = ("jpeg", "offsets", "angles_deg", "box", "detected", "seed")


@dataclass(frozen=True)
class Shard:
    """One file, compressed images in memory (about 10 kB a face).

    jpeg: all JPEG files, concatenated. offsets: (N + 1,) where each starts.
    angles_deg: (N, 3) float64. boxes: (N, 4) float32, pixels of the context image.
    detected: (N,) whether the box is the detector's; else it is fitted to what it would say.
    seeds: (N,) int64, the seed each face was rendered from.
    """

    path: Path
    jpeg: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    angles_deg: FloatArray
    boxes: NDArray[np.float32]
    detected: NDArray[np.bool_]
    seeds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.seeds)

    def image(self, index: int) -> Image:
        """Context image (152, 152, 3) uint8 RGB of a face."""
        data = self.jpeg[self.offsets[index] : self.offsets[index + 1]]
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if decoded is None:
            raise ValueError(f"face {index} of {self.path} is not a JPEG; render the shard anew")
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def read_shard(path: Path) -> Shard:
    """Read a shard. Raises ValueError that names the file and what it lacks."""
    with np.load(path) as archive:
        missing = [name for name in FIELDS if name not in archive]
        if missing:
            raise ValueError(f"expected arrays {', '.join(FIELDS)} in {path}; {missing} missing")
        arrays = {name: archive[name] for name in FIELDS}
    shard = Shard(
        path=path,
        jpeg=arrays["jpeg"],
        offsets=arrays["offsets"].astype(np.int64),
        angles_deg=arrays["angles_deg"].astype(np.float64),
        boxes=arrays["box"].astype(np.float32),
        detected=arrays["detected"].astype(bool),
        seeds=arrays["seed"].astype(np.int64),
    )
    count = len(shard)
    parts = (shard.offsets, shard.angles_deg, shard.boxes, shard.detected)
    shapes = tuple(part.shape for part in parts)
    if shapes != ((count + 1,), (count, 3), (count, 4), (count,)):
        raise ValueError(f"arrays of {path} disagree about the number of faces: {shapes}")
    return shard


class RenderedShards:
    """All shards of some directories, as one sequence of labelled faces that may grow.

    A face keeps its index: new shards are appended. Which faces are held out depends on
    their seed alone, so it is the same in every run and on every machine. `detected_only`
    leaves out, for both, the faces that the detector misses: the network never gets them.
    `zero_pose_deg` turns every label, see `turn_zero`.
    """

    def __init__(
        self,
        directories: Sequence[Path],
        holdout_share: float = 0.02,
        detected_only: bool = False,
        zero_pose_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.skipped: Counter[str] = Counter()
        self._directories = [Path(directory) for directory in directories]
        self._holdout_share = holdout_share
        self._detected_only = detected_only
        self._zero_pose_deg = np.array(zero_pose_deg)
        self._shards: list[Shard] = []
        self._starts: list[int] = [0]
        self._training = np.empty(0, np.int64)
        self._holdout = np.empty(0, np.int64)

    @property
    def files(self) -> list[str]:
        """The files read so far, in the order of their faces."""
        return [str(shard.path) for shard in self._shards]

    def add(self, files: Sequence[str]) -> None:
        """Append given files, in this order."""
        for file in files:
            shard = read_shard(Path(file))
            shard = replace(shard, angles_deg=turn_zero(shard.angles_deg, self._zero_pose_deg))
            held = in_holdout(shard.seeds, self._holdout_share)
            usable = self._usable(shard)
            numbers = self._starts[-1] + np.arange(len(shard))
            self._training = np.append(self._training, numbers[~held & usable])
            self._holdout = np.append(self._holdout, numbers[held & usable])
            self._shards.append(shard)
            self._starts.append(self._starts[-1] + len(shard))

    def _usable(self, shard: Shard) -> NDArray[np.bool_]:
        """Which faces to use (N,); the others are counted in `skipped`."""
        finite = np.isfinite(shard.angles_deg).all(axis=1)
        missed = finite & ~shard.detected & self._detected_only
        reasons = {"label cannot be said in angles": ~finite, "missed by the detector": missed}
        self.skipped.update({name: int(out.sum()) for name, out in reasons.items() if out.any()})
        return np.asarray(finite & ~missed)

    def rescan(self) -> int:
        """Append the shards that are new in the directories; returns how many faces came."""
        known, before = set(self.files), len(self)
        for directory in self._directories:
            found = sorted(str(path) for path in directory.glob("shard-*.npz"))
            self.add([file for file in found if file not in known])
        return len(self) - before

    @property
    def training(self) -> NDArray[np.int64]:
        """Indices of the faces to train on."""
        return self._training

    @property
    def holdout(self) -> NDArray[np.int64]:
        """Indices of the faces that are kept out of training."""
        return self._holdout

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> LabelledFace:
        if not 0 <= index < len(self):
            raise IndexError(f"face {index} of {len(self)}")
        number = bisect.bisect_right(self._starts, index) - 1
        shard, local = self._shards[number], index - self._starts[number]
        name = f"{shard.path.stem}/{local}"
        return LabelledFace(name, shard.image(local), shard.boxes[local], shard.angles_deg[local])


def turn_zero(angles_deg: FloatArray, zero_pose_deg: FloatArray) -> FloatArray:
    """Labels (N, 3) after a constant rotation (3,) in the head's own frame: R becomes R Z.

    NaN where the result has no unique angles: yaw at or beyond 90 degrees.
    """
    if not np.any(zero_pose_deg):
        return angles_deg
    turned = matrix_from_angles(angles_deg) @ matrix_from_angles(zero_pose_deg)
    result = angles_from_matrix(turned)
    unique = (np.abs(angles_deg[:, 0]) < 90.0) & (np.abs(result[:, 1:]) < 99.0).all(axis=1)
    return np.where(unique[:, None], result, np.nan)


def in_holdout(seeds: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Which seeds fall into the hold-out: a multiplicative hash spreads them evenly."""
    hashed = (seeds.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return np.asarray(hashed < share * 2**24)
