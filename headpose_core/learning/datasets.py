# SPDX-License-Identifier: Apache-2.0
"""Labelled faces: readers of data sets, and the views that a training epoch is made of.

A reader hands out `LabelledFace` by index. Nothing is dropped silently: a reader counts what it
left out, with the reason, in `skipped`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from headpose_core.image import read_image
from headpose_core.learning.augment import AugmentConfig, plain_view, training_view
from headpose_core.types import FloatArray, Image


@dataclass(frozen=True)
class LabelledFace:
    """One face of a data set.

    image: (H, W, 3) uint8 RGB. box: (4,) float32 x1, y1, x2, y2 in its pixels.
    angles_deg: (3,) float64 yaw, pitch, roll in the paper's convention.
    """

    name: str
    image: Image
    box: NDArray[np.float32]
    angles_deg: FloatArray


class FaceReader(Protocol):
    """A data set on disk."""

    skipped: Counter[str]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> LabelledFace: ...


class Aflw2000:
    """AFLW2000-3D in its official layout: `image*.jpg` beside `image*.mat`.

    The box is that of the 68 landmarks (`pt3d_68`). Faces with an angle beyond
    `max_angle_deg` are left out, as everywhere in the field. Research data: evaluation only.
    """

    def __init__(self, root: Path, max_angle_deg: float = 99.0) -> None:
        self.skipped: Counter[str] = Counter()
        self._faces: list[tuple[Path, NDArray[np.float32], FloatArray]] = []
        labels = sorted(Path(root).glob("*.mat"))
        if not labels:
            raise FileNotFoundError(f"expected image*.jpg and image*.mat of AFLW2000 in {root}")
        for path in labels:
            box, angles_deg = read_300w_label(path)
            if np.abs(angles_deg).max() > max_angle_deg:
                self.skipped[f"angle beyond {max_angle_deg:g} degrees"] += 1
            else:
                self._faces.append((path.with_suffix(".jpg"), box, angles_deg))

    def __len__(self) -> int:
        return len(self._faces)

    def __getitem__(self, index: int) -> LabelledFace:
        path, box, angles_deg = self._faces[index]
        return LabelledFace(path.stem, read_image(path), box, angles_deg)


def read_300w_label(path: Path) -> tuple[NDArray[np.float32], FloatArray]:
    """Landmark box (4,) and angles (3,) in degrees of a label file of 300W-LP or AFLW2000.

    `Pose_Para` starts with pitch, yaw, roll in radians; `pt3d_68` is (3, 68), in pixels.
    """
    from scipy.io import loadmat  # type: ignore[import-untyped]

    label: dict[str, Any] = loadmat(path)
    missing = {"Pose_Para", "pt3d_68"} - label.keys()
    if missing:
        raise ValueError(f"expected Pose_Para and pt3d_68 in {path}; {sorted(missing)} missing")
    pitch, yaw, roll = np.degrees(label["Pose_Para"][0, :3].astype(np.float64))
    points = label["pt3d_68"][:2]
    box = np.concatenate([points.min(axis=1), points.max(axis=1)]).astype(np.float32)
    return box, np.array([yaw, pitch, roll])


class Pointing04:
    """Pointing'04 in its own layout: `Person01/person01258+15-15.jpg` beside a .txt with the box.

    The name ends in tilt and pan, in degrees, with the signs of pitch and yaw; roll has no
    label (NaN). Pans beyond `max_pan_deg` are left out: there Euler angles mean little.
    """

    def __init__(self, root: Path, max_pan_deg: float = 60.0) -> None:
        self.skipped: Counter[str] = Counter()
        self._faces: list[tuple[Path, FloatArray]] = []
        pictures = sorted(Path(root).glob("Person*/person*.jpg"))
        if not pictures:
            raise FileNotFoundError(f"expected Person*/person*.jpg of Pointing'04 in {root}")
        for path in pictures:
            tilt, pan = _tilt_and_pan(path)
            if abs(pan) > max_pan_deg:
                self.skipped[f"pan beyond {max_pan_deg:g} degrees"] += 1
            else:
                self._faces.append((path, np.array([pan, tilt, np.nan])))

    def __len__(self) -> int:
        return len(self._faces)

    def __getitem__(self, index: int) -> LabelledFace:
        path, angles_deg = self._faces[index]
        x, y, width, height = map(float, path.with_suffix(".txt").read_text().split()[-4:])
        box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2], np.float32)
        return LabelledFace(path.stem, read_image(path), box, angles_deg)


def _tilt_and_pan(path: Path) -> tuple[float, float]:
    match = re.search(r"([+-]\d+)([+-]\d+)$", path.stem)
    if match is None:
        raise ValueError(f"expected a name that ends in tilt and pan (+15-30), got {path.name}")
    return float(match[1]), float(match[2])


class Subset:
    """Some faces of a reader, in a given order."""

    def __init__(self, faces: FaceReader, indices: NDArray[np.int64]) -> None:
        self.skipped = faces.skipped
        self._faces, self._indices = faces, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> LabelledFace:
        return self._faces[int(self._indices[index])]


class ViewBatches(torch.utils.data.Dataset[tuple[Image, NDArray[np.float32]]]):
    """The views of one epoch, as a map-style data set for a DataLoader.

    View k of the run is drawn from a generator seeded with (seed, k) and nothing else, so
    that a resumed run, and any number of workers, sees the very same pixels. With
    `views_per_face` V, it is view k mod V of its face, which comes again in the run.
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
    ) -> None:
        self._faces, self._indices = faces, indices
        self._augment, self._crop_size = augment, crop_size
        self._seed, self._first_view = seed, first_view
        self._views_per_face = views_per_face

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> tuple[Image, NDArray[np.float32]]:
        index, view = int(self._indices[position]), self._first_view + position
        face = self._faces[index]
        variety = self._views_per_face
        drawn_from = (index, view % variety) if variety else (view,)
        rng = np.random.default_rng((self._seed, *drawn_from))
        crop, label = training_view(
            face.image, face.box, face.angles_deg, self._augment, self._crop_size, rng
        )
        return crop, label.astype(np.float32)


def plain_views(
    faces: FaceReader, indices: NDArray[np.int64], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Crops (N, size, size, 3) as at run time, and labels (N, 3) in degrees."""
    chosen = [faces[int(index)] for index in indices]
    crops = [plain_view(face.image, face.box, size) for face in chosen]
    labels = [face.angles_deg for face in chosen]
    return (
        np.array(crops, np.uint8).reshape(-1, size, size, 3),
        np.array(labels, np.float32).reshape(-1, 3),
    )
