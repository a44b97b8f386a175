# SPDX-License-Identifier: Apache-2.0
"""Run a model over labelled faces, and boil what it says down to numbers."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from headpose_core.faces.detection import GivenBoxes
from headpose_core.learning.data.datasets import FaceReader
from headpose_core.learning.data.skipped_faces import DataError
from headpose_core.learning.run.checkpoint import write_text
from headpose_core.pipeline import HeadPosePipeline, PipelineSettings
from headpose_core.pose.bins import NUM_BINS
from headpose_core.pose.pose_model import PoseModel
from headpose_core.types import FloatArray, Image
from training.evaluation.metrics import (
    ANGLES,
    accuracy,
    calibrated,
    calibration,
    mean_change,
    mirror_difference,
)
from training.evaluation.models import ListeningModel

# Moves of a box: (right, down) in shares of its longer side, and a scale about its centre. A
# tenth is what one detector's boxes differ from another's in a bad case.
MOVES = {
    "left": (-0.1, 0.0, 1.0),
    "right": (0.1, 0.0, 1.0),
    "up": (0.0, -0.1, 1.0),
    "down": (0.0, 0.1, 1.0),
    "smaller": (0.0, 0.0, 0.9),
    "larger": (0.0, 0.0, 1.1),
}


@dataclass(frozen=True)
class Predictions:
    """What one model said about N faces. Angles are (N, 3) degrees: yaw, pitch, roll.

    names: (N,) of the faces. groups: (N,) those of one person or video share one. of_mirrored:
    predictions for the mirrored images. of_moved: (N, M, 3) for the boxes moved by `MOVES`, M is
    0 without them. outputs: (N, 3, 62) logits, or (N, 3) angles of a peer. boxes: (N, 4) the
    boxes in use. missed: (N,) faces that the detector did not find.
    """

    names: NDArray[np.str_]
    groups: NDArray[np.int64]
    labels: FloatArray
    mean_deg: FloatArray
    std_deg: FloatArray
    of_mirrored: FloatArray
    of_moved: FloatArray
    outputs: NDArray[np.float32]
    boxes: NDArray[np.float32]
    missed: NDArray[np.bool_]


def predict(
    model: PoseModel,
    faces: FaceReader,
    *,
    detected: bool = True,
    move_boxes: bool = True,
    name: str = "faces",
) -> Predictions:
    """Run the pipeline on every face and its box.

    detected: the boxes are a detector's, and a face without one is counted as missed.
    Raises DataError when there is no face.
    """
    if not len(faces):
        raise DataError(f"expected labelled faces, got none; left out: {dict(faces.skipped)}")
    listening = ListeningModel(model)
    rows: list[tuple[Any, ...]] = []
    for index in tqdm(range(len(faces)), name, disable=None, leave=False):
        face = faces[index]
        (head,) = HeadPosePipeline(GivenBoxes(face.box[None]), listening)(face.image, 0.0).heads
        outputs = listening.outputs[0]
        width = face.image.shape[1]
        mirrored_box = np.array([width, 0, width, 0]) + face.box[[2, 1, 0, 3]] * (-1, 1, -1, 1)
        mirrored = np.ascontiguousarray(face.image[:, ::-1])
        moved = moved_boxes(face.box) if move_boxes else np.empty((0, 4))
        rows.append(
            (
                face.name,
                faces.groups[index],
                face.angles_deg,
                head.paper_angles_deg,
                head.std_deg,
                _angles(listening, mirrored, mirrored_box[None])[0],
                _angles(listening, face.image, moved),
                outputs,
                face.box,
                detected and not face.detected,
            )
        )
    return Predictions(*(np.array(column) for column in zip(*rows, strict=True)))


def moved_boxes(box: NDArray[np.float32]) -> NDArray[np.float32]:
    """A box (4,) after each of `MOVES`, (M, 4)."""
    moves = np.array(list(MOVES.values()))
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    centres = centre + moves[:, :2] * 2 * half.max()
    halves = half * moves[:, 2:]
    return np.hstack([centres - halves, centres + halves]).astype(np.float32)


def _angles(model: PoseModel, image: Image, boxes: NDArray[Any]) -> FloatArray:
    """Predictions (M, 3) for boxes (M, 4) in one image, in their order."""
    if not len(boxes):
        return np.empty((0, 3))
    boxes = boxes.astype(np.float32)
    settings = PipelineSettings(max_faces=len(boxes))
    pipeline = HeadPosePipeline(GivenBoxes(boxes), model, settings=settings)
    heads = pipeline(image, stamp_s=0.0).heads
    said = {head.box.tobytes(): head.paper_angles_deg for head in heads}
    return np.array([said[box.tobytes()] for box in boxes])


def summarise(seen: Predictions) -> dict[str, Any]:
    """All numbers of one model, as in results.json."""
    numbers = {
        **accuracy(seen.mean_deg, seen.labels),
        "missed": int(seen.missed.sum()),
        "mirror": mirror_difference(seen.mean_deg, seen.of_mirrored),
        "moved_boxes": _sensitivity(seen) if seen.of_moved.size else None,
        **calibration(seen.mean_deg, seen.std_deg, seen.labels),
        "calibrated": None,
    }
    if has_logits(seen):
        numbers["calibrated"] = calibrated(seen.outputs, seen.labels, seen.groups)
    return numbers


def has_logits(seen: Predictions) -> bool:
    """Whether the model gave distributions over our bins; peers give angles."""
    return seen.outputs.shape[1:] == (len(ANGLES), NUM_BINS)


def _sensitivity(seen: Predictions) -> dict[str, Any]:
    """Mean change of an angle by a shift and by a scaling of the box, and the error after each."""
    shifted = np.array([move[2] == 1.0 for move in MOVES.values()])
    same = seen.mean_deg[:, None]
    return {
        "shift": mean_change(same, seen.of_moved[:, shifted]),
        "scale": mean_change(same, seen.of_moved[:, ~shifted]),
        "mae": {
            name: accuracy(seen.of_moved[:, number], seen.labels)["mae"]["mean"]
            for number, name in enumerate(MOVES)
        },
    }


def write_predictions(path: Path, seen: Predictions) -> None:
    """One line a face: name, missed, box, labels, predictions, standard deviations."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    angles = [f"{what}_{angle}" for what in ("label", "is", "std") for angle in ANGLES]
    table.writerow(["name", "missed", "x1", "y1", "x2", "y2", *angles])
    numbers = np.hstack([seen.boxes, seen.labels, seen.mean_deg, seen.std_deg])
    for name, missed, row in zip(seen.names, seen.missed, numbers, strict=True):
        table.writerow([name, int(missed), *(f"{value:.3f}" for value in row)])
    write_text(path, text.getvalue())
