# SPDX-License-Identifier: Apache-2.0
"""Errors on rendered heads by who they are: sex, age, apparent skin tone, what is worn.

    python -m training.evaluate --model M.onnx --dataset rendered --root RENDERS --out OUT
    python -m training.checks.rendered_groups --predictions OUT/predictions-M.csv --renders RENDERS

Prints a Markdown table: faces, mean absolute error with its 95 % interval over people [deg], and
the error of frontal faces alone. Rendered people are not real ones: a difference here is a reason
to look, and none proves nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from numpy.typing import NDArray

from headpose_core.learning.data.shards import read_shard
from headpose_core.types import Image
from training.evaluation.metrics import ANGLES
from training.evaluation.report import table

FRONTAL_DEG = 30.0
# Individual typology angle in degrees above which skin is called so (Chardon et al. 1991).
TONES = {"light": 41.0, "intermediate": 28.0, "tan": 10.0, "brown": -30.0, "dark": -90.0}
# Of the 68 landmarks, what lies about each cheek: eye, nostril, corner of the mouth, jaw.
CHEEKS = ((41, 31, 48, 3), (46, 35, 54, 13))
DRAWS = 1000


@dataclass(frozen=True)
class GroupsConfig:
    """What to join."""

    predictions: Path
    """predictions-NAME.csv of `training.evaluate --dataset rendered`."""
    renders: Path
    """The shards that were measured."""


@dataclass(frozen=True)
class Face:
    """One measured face. error: mean over its angles, yaw: labelled; degrees. person: its number.
    traits: the group that it belongs to, by trait."""

    error: float
    yaw: float
    person: int
    traits: Mapping[str, str]


def read_faces(config: GroupsConfig) -> list[Face]:
    """Predictions beside what their shards say of each face.

    Raises ValueError when a face of the predictions is in no shard.
    """
    with config.predictions.open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    shards = sorted(config.renders.glob("shard-*.npz"))
    faces = [face for path in shards for face in _faces_of(path, rows)]
    if len(faces) != len(rows):
        raise ValueError(
            f"expected every face of {config.predictions} in the shards of {config.renders}, "
            f"found {len(faces)} of {len(rows)}; give the folder that was measured"
        )
    return faces


def _faces_of(path: Path, rows: Mapping[str, Mapping[str, str]]) -> Iterator[Face]:
    """The measured faces of one shard."""
    shard = read_shard(path)
    with np.load(path) as archive:
        said = {name: archive[name] for name in ("sex", "age", "glasses", "mask", "landmarks")}
    for number in range(len(shard)):
        row = rows.get(f"{path.stem}/{number}")
        if row is None:
            continue
        errors = [abs(float(row[f"is_{name}"]) - float(row[f"label_{name}"])) for name in ANGLES]
        glasses = "glasses" if said["glasses"][number] else "neither"
        traits = {
            "sex": str(said["sex"][number]),
            "age": str(said["age"][number]),
            "apparent skin tone": skin_tone(shard.image(number), said["landmarks"][number]),
            "worn": "mask" if said["mask"][number] else glasses,
        }
        yaw = float(row["label_yaw"])
        yield Face(float(np.mean(errors)), yaw, int(shard.groups[number]), traits)


def skin_tone(image: Image, landmarks: NDArray[np.float32]) -> str:
    """A word of `TONES` for the brighter cheek of a face, as it looks in this light.

    image: (H, W, 3) uint8 RGB. landmarks: (68, 2) in its pixels.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    limit = np.array(image.shape[1::-1]) - 1
    cheeks = []
    for points in CHEEKS:
        x, y = np.clip(landmarks[list(points)].mean(axis=0), 0, limit).round().astype(int)
        patch = lab[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].reshape(-1, 3)
        cheeks.append(np.median(patch, axis=0))
    lightness, _, yellow = max(cheeks, key=lambda colour: float(colour[0]))
    typology = np.degrees(np.arctan2(lightness - 50.0, max(yellow, 1e-6)))
    return next(name for name, least in TONES.items() if typology >= least)


def group_table(faces: Sequence[Face]) -> str:
    """One line a group, as Markdown."""
    rows: list[list[object]] = []
    for trait in faces[0].traits:
        for name in _in_order({face.traits[trait] for face in faces}):
            group = [face for face in faces if face.traits[trait] == name]
            frontal = [face.error for face in group if abs(face.yaw) < FRONTAL_DEG]
            low, high = interval(group)
            mean = float(np.mean([face.error for face in group]))
            straight = float(np.mean(frontal)) if frontal else None
            rows.append([trait, name, len(group), mean, f"{low:.2f} to {high:.2f}", straight])
    head = ["", "group", "faces", "MAE [deg]", "95 % interval", f"yaw below {FRONTAL_DEG:.0f}"]
    return table(head, rows)


def _in_order(names: set[str]) -> list[str]:
    """Skin from light to dark, all else by the alphabet."""
    return [tone for tone in TONES if tone in names] + sorted(names - TONES.keys())


def interval(faces: Sequence[Face]) -> tuple[float, float]:
    """95 % interval of the mean error over draws of people with replacement (bootstrap)."""
    person = np.unique([face.person for face in faces], return_inverse=True)[1]
    sums, counts = np.bincount(person, [face.error for face in faces]), np.bincount(person)
    drawn = np.random.default_rng(0).integers(len(sums), size=(DRAWS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def main() -> None:
    """Command line."""
    print(group_table(read_faces(tyro.cli(GroupsConfig, description=__doc__))))


if __name__ == "__main__":
    main()
