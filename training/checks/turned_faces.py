# SPDX-License-Identifier: Apache-2.0
"""How models do on pictures that are turned: the pipeline of run time, detection included.

    python -m training.checks.turned_faces --model ehpnet_resnet18 --dataset aflw2000 --root DIR

Turns each picture, runs the pipeline on it, turns the label with it and prints a Markdown table:
of the faces that the detector finds upright and turned the angle between predicted and labelled
rotation (mean and 95th percentile, degrees) beside that of the upright picture, the share that is
worse by more than 5 degrees, and how many crops the network saw for a face.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from headpose_core.errors import ModelError
from headpose_core.faces.boxes import iou
from headpose_core.faces.yunet import YuNet
from headpose_core.geometry.rotation import geodesic_deg, matrix_from_angles
from headpose_core.images.image_view import ImageView
from headpose_core.learning.data.datasets import LabelledFace
from headpose_core.learning.data.skipped_faces import DataError
from headpose_core.pipeline import HeadPosePipeline, PipelineSettings
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.pose_model import Estimate
from headpose_core.types import FloatArray, Image
from training.evaluate import EvaluateConfig, open_dataset
from training.evaluation.report import table

_LEAST_IOU = 0.3
_WORSE_DEG = 5.0


@dataclass(frozen=True)
class TurnedFacesConfig:
    """Which models, on what, turned by how much."""

    model: tuple[str, ...]
    """Model files, or names of those that are shipped."""
    dataset: str
    """Its kind, as of `training.evaluate`."""
    root: Path
    turns_deg: tuple[float, ...] = (90.0, 180.0, 270.0)
    """Clockwise; 0 is always measured as well."""
    limit: int = 0
    """Measure at most so many faces, evenly over the data set; 0 is all."""


class CountingModel:
    """A pose model that counts the crops that it sees, and the heads that come of them."""

    def __init__(self, model: HeadPoseModel) -> None:
        self._model, self.seen, self.heads = model, 0, 0
        self.crop = model.crop
        self.turn_probabilities = model.turn_probabilities

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The model's outputs."""
        self.seen += len(crops)
        return self._model.infer(crops)

    def decode(self, outputs: NDArray[np.float32]) -> Estimate:
        """The model's angles and spreads."""
        self.heads += len(outputs)
        return self._model.decode(outputs)


def turned(image: Image, box: ArrayLike, degrees: float) -> tuple[Image, NDArray[np.float32]]:
    """An image (H, W, 3) turned clockwise about the middle of a box (4,), the corners black, and
    the box around the turned box."""
    x1, y1, x2, y2 = np.asarray(box, np.float64)
    middle = ((x1 + x2) / 2, (y1 + y2) / 2)
    turn = cv2.getRotationMatrix2D(middle, -degrees, 1.0)
    height, width = image.shape[:2]
    frame = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ turn.T
    turn[:, 2] -= frame.min(axis=0)
    size = np.ceil(np.ptp(frame, axis=0)).astype(int)
    corners = np.array([[x1, y1, 1], [x2, y1, 1], [x1, y2, 1], [x2, y2, 1]]) @ turn.T
    around = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return np.asarray(cv2.warpAffine(image, turn, size.tolist()), np.uint8), around.astype(
        np.float32
    )


def rotation_found(
    pipeline: HeadPosePipeline, face: LabelledFace, degrees: float
) -> FloatArray | None:
    """R (3, 3) of the face in the picture turned clockwise, turned back; None: it is not found."""
    image, box = turned(face.image, face.box, degrees)
    heads = pipeline(ImageView(image), 0.0).heads
    overlap = iou(box, np.array([head.box for head in heads]).reshape(-1, 4))[0]
    if not len(heads) or overlap.max() < _LEAST_IOU:
        return None
    angle = np.radians(-degrees)
    back = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    return np.asarray(back @ heads[int(overlap.argmax())].rotation)


def rows(config: TurnedFacesConfig) -> Iterator[tuple[object, ...]]:
    """Of each model and each turn: the numbers of the table."""
    opened = EvaluateConfig((), config.dataset, config.root, out=Path(), limit=config.limit)
    faces, _ = open_dataset(opened)
    labels = matrix_from_angles(faces.angles_deg)
    for name in config.model:
        model = CountingModel(HeadPoseModel.load(name, device="cpu"))
        settings = PipelineSettings(max_faces=1000)
        pipeline = HeadPosePipeline(YuNet(turns=4), model, settings=settings)
        errors, crops = [], []
        turns = (0.0, *config.turns_deg)
        for degrees in tqdm(turns, desc=name, leave=False):
            model.seen = model.heads = 0
            found = []
            for index in range(len(faces)):
                R = rotation_found(pipeline, faces[index], degrees)
                found.append(np.nan if R is None else float(geodesic_deg(R, labels[index])))
            errors.append(found)
            crops.append(model.seen / max(model.heads, 1))
        for degrees, error, seen in zip(turns, np.array(errors), crops, strict=True):
            yield (Path(name).stem, f"{degrees:g}", *_numbers(np.array(errors[0]), error), seen)


def _numbers(upright: FloatArray, error: FloatArray) -> tuple[float, ...]:
    both = np.isfinite(upright) & np.isfinite(error)
    worse = (error[both] > upright[both] + _WORSE_DEG).mean()
    means = upright[both].mean(), error[both].mean()
    ends = np.quantile(upright[both], 0.95), np.quantile(error[both], 0.95)
    return float(both.sum()), *map(float, (*means, *ends, worse))


def main(args: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    head = (
        "model",
        "turned",
        "faces",
        "upright",
        "turned",
        "95 %: upright",
        "turned",
        "worse",
        "crops",
    )
    try:
        print(table(head, rows(tyro.cli(TurnedFacesConfig, description=__doc__, args=args))))
    except (DataError, ModelError, OSError) as error:
        print(f"turned_faces: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
