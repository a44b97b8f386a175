# SPDX-License-Identifier: Apache-2.0
"""How the error and the uncertainty that is told grow as pictures get worse.

    python -m training.checks.bad_pictures --model ehpnet_lite M.onnx --dataset aflw2000 --root DIR

Takes the crops of run time of faces with a yaw up to 60 degrees and makes each worse in the same
ways. Prints a Markdown table: mean absolute error and mean sigma [deg], the share of angles within
one sigma (0.68 would be right), and the negative logarithm of the Gaussian likelihood [nat].
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from headpose_core.errors import ModelError
from headpose_core.images.image_view import as_view
from headpose_core.learning.data.skipped_faces import DataError
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.types import FloatArray, Image
from training.checks.hard_pictures import HARD
from training.evaluate import EvaluateConfig, open_dataset
from training.evaluation.report import table

LARGEST_YAW_DEG = 60.0  # beyond, pitch and roll are hardly determined in good pictures either
_BATCH = 16


def _small(crop: Image, side: int) -> Image:
    shrunk = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, crop.shape[1::-1]), np.uint8)


def _dark(crop: Image) -> Image:
    """An eighth of the light, with the noise of the sensor: 3 grey levels."""
    noise = np.random.default_rng(0).normal(0.0, 3.0, crop.shape)
    return np.asarray(np.clip(0.12 * crop + noise, 0, 255), np.uint8)


def _covered(crop: Image) -> Image:
    half: Image = crop.copy()
    half[len(crop) // 2 :] = 120
    return half


WORSE: dict[str, Callable[[Image], Image]] = {
    "as they are": lambda crop: crop,
    "blurred by 3 pixels": lambda crop: np.asarray(cv2.GaussianBlur(crop, (0, 0), 3), np.uint8),
    "blurred by 6 pixels": lambda crop: np.asarray(cv2.GaussianBlur(crop, (0, 0), 6), np.uint8),
    "of 20 pixels": lambda crop: _small(crop, 20),
    "of 12 pixels": lambda crop: _small(crop, 12),
    "dark": _dark,
    "lower half covered": _covered,
    **HARD,
}


@dataclass(frozen=True)
class BadPicturesConfig:
    """Which models, on what."""

    model: tuple[str, ...]
    """Model files, or names of those that are shipped."""
    dataset: str
    """Its kind, as of `training.evaluate`."""
    root: Path


def measure(
    model: HeadPoseModel, crops: NDArray[np.uint8], labels_deg: FloatArray
) -> tuple[float, ...]:
    """Mean absolute error, mean sigma [deg], share within one sigma, negative log-likelihood.

    crops: (N, 112, 112, 3) RGB. labels_deg: (N, 3) yaw, pitch, roll.
    """
    parts = [crops[start : start + _BATCH] for start in range(0, len(crops), _BATCH)]
    told = [model.decode(model.infer(part)) for part in parts]
    sigma = np.concatenate([estimate.std_deg for estimate in told])
    error = np.abs(np.concatenate([estimate.mean_deg for estimate in told]) - labels_deg)
    likelihood = 0.5 * (error / sigma) ** 2 + np.log(sigma * np.sqrt(2 * np.pi))
    means = error.mean(), sigma.mean(), (error < sigma).mean(), likelihood.mean()
    return tuple(float(value) for value in means)


def rows(config: BadPicturesConfig) -> Iterator[tuple[object, ...]]:
    """Of each model and each way of being worse: what `measure` says."""
    models = {Path(name).stem: HeadPoseModel.load(name, device="cpu") for name in config.model}
    faces, _ = open_dataset(EvaluateConfig((), config.dataset, config.root, out=Path()))
    chosen = np.flatnonzero(np.abs(faces.angles_deg[:, 0]) <= LARGEST_YAW_DEG)
    labels = faces.angles_deg[chosen]
    for name, model in models.items():
        seen = (faces[int(index)] for index in chosen)
        crops = [model.crop(as_view(face.image), face.box[None])[0] for face in seen]
        for way, worse in tqdm(WORSE.items(), desc=name, leave=False):
            bad = np.stack([worse(crop) for crop in crops])
            yield (name, way, *measure(model, bad, labels))


def main(args: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    head = ("model", "crops", "MAE", "mean sigma", "within one sigma", "NLL")
    try:
        print(table(head, rows(tyro.cli(BadPicturesConfig, description=__doc__, args=args))))
    except (DataError, ModelError, OSError) as error:
        print(f"bad_pictures: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
