# SPDX-License-Identifier: Apache-2.0
"""Labelled faces, and the views that a training epoch is made of.

A `FaceReader` hands out `LabelledFace` by index; `readers.open_faces` opens one of any format,
`pool.FacePool` joins several for training.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from headpose_core.images.crop import Fit
from headpose_core.learning.data.augment import AugmentConfig, plain_view, training_views
from headpose_core.learning.data.skipped_faces import Report
from headpose_core.types import FloatArray, Image


@dataclass(frozen=True)
class LabelledFace:
    """One face of a data set.

    image: (H, W, 3) uint8 RGB. box: (4,) float32 x1, y1, x2, y2 in its pixels.
    angles_deg: (3,) float64 yaw, pitch, roll in the paper's convention; NaN for no label.
    detected: the box is a detector's; else it is the labelled one.
    """

    name: str
    image: Image
    box: NDArray[np.float32]
    angles_deg: FloatArray
    detected: bool = False


class FaceReader(Protocol):
    """A labelled data set: its labels in memory, its pictures read one by one.

    angles_deg: (N, 3) float64, boxes: (N, 4) float32 and detected: (N,) as of `LabelledFace`.
    groups: (N,) int64; faces of one photo, video or person share one, and are never split
    between training and hold-out.
    """

    angles_deg: FloatArray
    boxes: NDArray[np.float32]
    detected: NDArray[np.bool_]
    groups: NDArray[np.int64]

    @property
    def report(self) -> Report: ...

    @property
    def skipped(self) -> Counter[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> LabelledFace: ...


class Subset:
    """Some faces of a reader, in a given order; (N,) bool chooses, too."""

    def __init__(self, faces: FaceReader, indices: NDArray[np.int64] | NDArray[np.bool_]) -> None:
        self.report = faces.report
        self.angles_deg = faces.angles_deg[indices]
        self.boxes, self.detected = faces.boxes[indices], faces.detected[indices]
        self.groups = faces.groups[indices]
        self._faces, self._indices = faces, np.arange(len(faces))[indices]

    @property
    def skipped(self) -> Counter[str]:
        """What the reader left out, by reason."""
        return self.report.skipped

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> LabelledFace:
        return self._faces[int(self._indices[index])]


class ViewBatches(torch.utils.data.Dataset[tuple[Image, NDArray[np.float32]]]):
    """The views of one epoch, as a map-style data set for a DataLoader.

    View k of the run is drawn from a generator seeded with (seed, k) and nothing else, so
    that a resumed run, and any number of workers, sees the very same pixels. With
    `views_per_face` a face has only so many views, k modulo that number chooses, and they come
    again. fit: see `crop.crop_windows`. Crops (W, S, S, 3) and labels (W, 3): W is 2 with
    `both_ways`, see `training_views`, else 1.
    """

    def __init__(
        self,
        faces: FaceReader,
        indices: NDArray[np.int64],
        augment: AugmentConfig,
        crop_size: int,
        seed: int,
        first_view: int,
        views_per_face: int = 0,
        fit: Fit = "pad",
        both_ways: bool = False,
    ) -> None:
        self._faces, self._indices = faces, indices
        self._augment, self._crop_size, self._fit = augment, crop_size, fit
        self._seed, self._first_view, self._variety = seed, first_view, views_per_face
        self._both_ways = both_ways

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> tuple[Image, NDArray[np.float32]]:
        index, view = int(self._indices[position]), self._first_view + position
        face = self._faces[index]
        key = (index, view % self._variety) if self._variety else (view,)
        rng = np.random.default_rng((self._seed, *key))
        crops, labels = training_views(
            face.image,
            face.box,
            face.angles_deg,
            self._augment,
            self._crop_size,
            rng,
            self._fit,
            self._both_ways,
        )
        return crops, labels.astype(np.float32)


def plain_views(
    faces: FaceReader, indices: NDArray[np.int64], size: int, fit: Fit = "pad"
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Crops (N, size, size, 3) as at run time, and labels (N, 3) in degrees."""
    chosen = [faces[int(index)] for index in indices]
    crops = [plain_view(face.image, face.box, size, fit) for face in chosen]
    labels = [face.angles_deg for face in chosen]
    return (
        np.array(crops, np.uint8).reshape(-1, size, size, 3),
        np.array(labels, np.float32).reshape(-1, 3),
    )


def group_ids(names: Sequence[str]) -> NDArray[np.int64]:
    """Numbers (N,) of named groups: the same name has the same one on every machine."""
    known = {
        name: int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest(), "little")
        for name in set(names)
    }
    return np.array([known[name] for name in names], np.int64)


def in_holdout(groups: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Which groups fall into the hold-out: a multiplicative hash spreads them evenly."""
    hashed = (groups.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return np.asarray(hashed < share * 2**24)
