# SPDX-License-Identifier: Apache-2.0
"""Measure models on labelled faces, through the pipeline that users run.

    python -m training.evaluate --model M.onnx N.safetensors A.onnx+B.onnx \\
        benchmarks/peers/fsanet.toml --peer-files DIR --dataset aflw2000 --root DIR --out DIR

Detection is part of it: the detected face that overlaps the labelled one counts; a face that the
detector misses is counted as missed and gets the labelled box. Writes results.json, results.md,
error-against-angle.png and, of each model, predictions-NAME.csv, predictions-NAME.png,
worst-NAME.png and scatter-NAME.png.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from headpose_core.errors import DeviceError, ModelError
from headpose_core.learning.data.datasets import FaceReader, Subset
from headpose_core.learning.data.detected_boxes import DetectedFaces, yunet_detections
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.learning.data.readers import RENDERED, open_faces
from headpose_core.learning.data.skipped_faces import DataError
from headpose_core.learning.run.checkpoint import write_text
from training.evaluation import pictures
from training.evaluation.compare import add_temperatures, differences, print_zero_poses
from training.evaluation.measure import Predictions, predict, summarise, write_predictions
from training.evaluation.models import open_models
from training.evaluation.report import markdown, summary

BOX_RULES = {
    "detected": "Boxes: the detector's, of the face that overlaps the labelled one most; a face "
    "that it misses is counted, and gets the labelled box.",
    "labelled": "Boxes: those of the labels.",
}


@dataclass(frozen=True)
class EvaluateConfig:
    """What to measure, and on what."""

    model: tuple[str, ...]
    """Model files (.onnx), weights (.safetensors), peers (.toml), means of ours (A.onnx+B.onnx);
    NAME=FILE gives a name."""
    dataset: str
    """Its kind: aflw2000, biwi, 300w-lp, pointing04, csv, rendered, ..."""
    root: Path
    """Directory of the data set in its official layout or of rendered shards; of csv the file."""
    out: Path
    peer_files: Path | None = None
    """Where the files of peers are; by default beside their TOML."""
    boxes: Literal["detected", "labelled"] = "detected"
    """Whose boxes; rendered shards bring the detector's."""
    move_boxes: bool = True
    """Also measure shifted and scaled boxes: six more runs of the network a face."""
    pictures: bool = True
    """Also draw the PNG files."""
    fit_temperature: bool = False
    """Also fit the three temperatures to all labels, for `training.export --temperature`."""
    fit_zero_pose: bool = False
    """Also fit the constant rotation between these labels' zero and the model's, for
    `training.train_teacher --zero-pose-deg`."""
    max_angles_deg: tuple[float, float, float] = (180.0, 180.0, 180.0)
    """Leave out faces whose labelled yaw, pitch or roll is larger."""
    zero_pose_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Of rendered heads: the turn of the labels' zero with which the model was trained."""
    limit: int = 0
    """Measure at most so many faces, evenly over the data set; 0 is all."""
    device: str = "cpu"
    threads: int = 1


def open_dataset(config: EvaluateConfig) -> tuple[FaceReader, dict[str, int]]:
    """The labelled faces of the config, and how many were left out for which reason.

    Of rendered shards they are the ones that training leaves out.
    """
    faces: FaceReader
    if config.dataset == RENDERED:
        pool = FacePool([f"{RENDERED}:{config.root}"], zero_pose_deg=config.zero_pose_deg)
        pool.rescan()
        faces = Subset(pool, pool.holdout)
    else:
        faces = files = open_faces(config.dataset, config.root)
        if config.boxes == "detected":
            faces = DetectedFaces(files, yunet_detections(files.root), "labelled box")
    left_out = dict(faces.skipped)
    too_large = np.abs(faces.angles_deg) > config.max_angles_deg  # no label is not
    beyond: NDArray[np.bool_] = np.asarray(too_large.any(axis=1))
    if beyond.any():
        faces = Subset(faces, ~beyond)
        left_out[f"label beyond {config.max_angles_deg} degrees"] = int(beyond.sum())
    if 0 < config.limit < len(faces):
        left_out["beyond the limit asked for"] = len(faces) - config.limit
        faces = Subset(faces, np.linspace(0, len(faces) - 1, config.limit).astype(np.int64))
    return faces, left_out


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Measure every model, write the files, print the table; returns what is in results.json."""
    config.out.mkdir(parents=True, exist_ok=True)
    models = open_models(config.model, config.device, config.threads, config.peer_files)
    faces, left_out = open_dataset(config)
    detected = config.boxes == "detected"
    seen: dict[str, Predictions] = {}
    for name, model in models.items():
        seen[name] = predict(
            model, faces, detected=detected, move_boxes=config.move_boxes, name=name
        )
        write_predictions(config.out / f"predictions-{name}.csv", seen[name])
        if config.pictures:
            draw(config.out, name, faces, seen[name])
    if config.pictures:
        pictures.draw_error_against_angle(config.out / "error-against-angle.png", seen)
    results: dict[str, Any] = {
        "dataset": config.dataset,
        "faces": len(faces),
        "left_out": left_out,
        "boxes_rule": BOX_RULES[config.boxes],
        "models": {name: summarise(predictions) for name, predictions in seen.items()},
        "differences": differences(seen),
    }
    if config.fit_temperature:
        add_temperatures(results["models"], seen)
    write_text(config.out / "results.json", json.dumps(results, indent=2) + "\n")
    write_text(config.out / "results.md", markdown(results))
    print_results(results)
    if config.fit_zero_pose:
        print_zero_poses(seen)
    return results


def print_results(results: dict[str, Any]) -> None:
    """What was left out, the main table, the differences."""
    for reason, count in results["left_out"].items():
        print(f"left out: {count} ({reason})")
    print(summary(results["models"]))
    for difference in results["differences"]:
        low, high = difference["interval_95"]
        print(f"{difference['second']} - {difference['first']}: {difference['mae']:+.2f}", end="")
        print(f" degrees, 95 % interval {low:+.2f} to {high:+.2f}")


def draw(out: Path, name: str, faces: FaceReader, seen: Predictions) -> None:
    """The pictures of one model."""
    pictures.draw_predictions(out / f"predictions-{name}.png", faces, seen)
    pictures.draw_worst(out / f"worst-{name}.png", faces, seen)
    pictures.draw_scatter(out / f"scatter-{name}.png", seen)


def main(args: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    try:
        evaluate(tyro.cli(EvaluateConfig, description=__doc__, args=args))
    except (DataError, ModelError, DeviceError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
