# SPDX-License-Identifier: Apache-2.0
"""All faces of a training run: several data sets as one, which may grow while the run goes on."""

from __future__ import annotations

import bisect
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from headpose_core.learning.data.datasets import FaceReader, LabelledFace, in_holdout
from headpose_core.learning.data.detected_boxes import DetectedFaces, yunet_detections
from headpose_core.learning.data.readers import (
    NO_FACES,
    RENDERED,
    SHARDS,
    open_faces,
    split_source,
)
from headpose_core.learning.data.shards import ShardFaces
from headpose_core.learning.data.skipped_faces import OnError, Report, merged
from headpose_core.types import FloatArray

Value = TypeVar("Value", bound=np.generic)


class FacePool:
    """A `FaceReader` of all parts of some sources; a part is a shard, or a whole data set.

    sources: `KIND:ROOT`, see `readers.split_source`. A face keeps its index: new shards are
    appended. Which faces are held out depends on their groups alone, so it is the same in every
    run and on every machine. Faces of data sets that the detector misses are left out, and with
    `detected_only` those of rendered shards, too. `zero_pose_deg` turns the labels of rendered
    shards, see `shards.turn_zero`. on_error: what to do about broken files.
    fingerprints: by part, a hash of its labels and boxes: what a run was trained on.
    """

    def __init__(
        self,
        sources: Sequence[str | Path],
        holdout_share: float = 0.02,
        detected_only: bool = False,
        zero_pose_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
        on_error: OnError = "skip",
    ) -> None:
        self._sources = [split_source(source) for source in sources]
        self._holdout_share = holdout_share
        self._detected_only, self._zero_pose_deg = detected_only, zero_pose_deg
        self._on_error: OnError = on_error
        self._parts: dict[str, FaceReader] = {}
        self._readers: list[FaceReader] = []
        self.fingerprints: dict[str, str] = {}
        self._starts: list[int] = [0]
        self._join()

    @property
    def files(self) -> list[str]:
        """Names of the parts read so far, in the order of their faces."""
        return list(self._parts)

    def add(self, names: Iterable[str]) -> None:
        """Append parts by name, in this order."""
        for name in names:
            self._parts[name] = reader = self._open(name)
            self.fingerprints[name] = _fingerprint(reader)
            self._readers.append(reader)
            self._starts.append(self._starts[-1] + len(reader))
        self._join()

    def rescan(self) -> int:
        """Append the parts that are new in the sources; returns how many faces came."""
        before = len(self)
        found = (name for kind, root in self._sources for name in _parts(kind, root))
        self.add(name for name in dict.fromkeys(found) if name not in self._parts)
        return len(self) - before

    def _open(self, name: str) -> FaceReader:
        kind, root = split_source(name)
        if kind in SHARDS:
            zero_pose_deg = self._zero_pose_deg if kind == RENDERED else (0.0, 0.0, 0.0)
            if kind == NO_FACES:
                return ShardFaces(root, on_error=self._on_error, labelled=False)
            return ShardFaces(root, self._detected_only, zero_pose_deg, self._on_error)
        faces = open_faces(kind, root, self._on_error)
        return DetectedFaces(faces, yunet_detections(faces.root), "leave out")

    def _join(self) -> None:
        """The columns of all parts as one."""
        parts = self._readers
        self.angles_deg: FloatArray = _joined(np.empty((0, 3)), (p.angles_deg for p in parts))
        self.boxes = _joined(np.empty((0, 4), np.float32), (p.boxes for p in parts))
        self.detected = _joined(np.empty(0, np.bool_), (p.detected for p in parts))
        self.groups = _joined(np.empty(0, np.int64), (p.groups for p in parts))
        labelled = np.isfinite(self.angles_deg).all(axis=1)  # what is no face is never measured
        held = in_holdout(self.groups, self._holdout_share) & labelled
        self.training, self.holdout = np.flatnonzero(~held), np.flatnonzero(held)

    @property
    def report(self) -> Report:
        """What all parts leave out."""
        return merged(part.report for part in self._readers)

    @property
    def skipped(self) -> Counter[str]:
        """How many faces all parts leave out, by reason."""
        return self.report.skipped

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> LabelledFace:
        if not 0 <= index < len(self):
            raise IndexError(f"face {index} of {len(self)}")
        number = bisect.bisect_right(self._starts, index) - 1
        return self._readers[number][index - self._starts[number]]


def _parts(kind: str, root: Path) -> list[str]:
    """Names of the parts that a source has now."""
    if kind not in SHARDS:
        return [f"{kind}:{root}"]
    prefix = "" if kind == RENDERED else f"{kind}:"
    return sorted(f"{prefix}{path}" for path in root.glob("shard-*.npz"))


def _joined(empty: NDArray[Value], columns: Iterable[NDArray[Value]]) -> NDArray[Value]:
    return np.concatenate([empty, *columns])


def _fingerprint(faces: FaceReader) -> str:
    digest = hashlib.sha256()
    for column in (faces.angles_deg, faces.boxes, faces.groups):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]
