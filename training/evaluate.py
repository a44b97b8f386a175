# SPDX-License-Identifier: Apache-2.0
"""Measure model files on labelled faces, through the pipeline that users run.

    python -m training.evaluate --model M.onnx --dataset aflw2000 --root DIR --out DIR

Detection is part of it: the detected face that overlaps the labelled one counts; a face that the
detector misses is counted as missed and gets the labelled box. Writes results.json, the worst
faces (worst-NAME.png) and errors against angles (errors-NAME.png).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from headpose_core.detection import FaceDetector, GivenBoxes
from headpose_core.learning.checkpoint import write_text
from headpose_core.learning.datasets import Aflw2000, FaceReader, Pointing04, Subset
from headpose_core.learning.metrics import (
    accuracy,
    calibration,
    fit_temperature,
    fit_zero_pose,
    mirror_difference,
    turn_predictions,
)
from headpose_core.learning.shards import RenderedShards
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.runtime import HeadPoseModel
from headpose_core.types import FloatArray, Head, Image
from training.evaluation_pictures import draw_errors, draw_worst
from training.target_face import CachedYuNet, TargetFace


@dataclass(frozen=True)
class EvaluateConfig:
    """What to measure, and on what."""

    model: tuple[Path, ...]
    """Model files (.onnx)."""
    dataset: Literal["aflw2000", "pointing04", "rendered"]
    root: Path
    """Directory of the data set in its official layout, or of rendered shards."""
    out: Path
    fit_temperature: bool = False
    """Also fit the three temperatures to these labels, for `training.export --temperature`."""
    fit_zero_pose: bool = False
    """Also fit the constant rotation between these labels' zero and the model's, for
    `training.train_teacher --zero-pose-deg`."""
    limit: int = 0
    """Measure at most so many faces; 0 is all."""
    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True)
class Predictions:
    """What one model said about N faces. Angles are (N, 3) degrees: yaw, pitch, roll.

    logits: (N, 3, 62). of_mirrored: predictions for the mirrored images. missed: (N,) faces
    that the detector did not find. boxes: (N, 4) the boxes in use.
    """

    labels: FloatArray
    mean_deg: FloatArray
    std_deg: FloatArray
    of_mirrored: FloatArray
    logits: NDArray[np.float32]
    boxes: NDArray[np.float32]
    missed: NDArray[np.bool_]


class ListeningModel(HeadPoseModel):
    """A loaded model whose last logits stay readable: the pipeline hands on angles only."""

    def __init__(self, model: HeadPoseModel) -> None:
        self._model = model
        self.metadata = model.metadata
        self.logits = np.empty((0, 3, 62), np.float32)

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The model's logits."""
        self.logits = self._model.infer(crops)
        return self.logits


def open_dataset(config: EvaluateConfig) -> FaceReader:
    """The labelled faces of the config; of rendered shards the ones that training leaves out."""
    faces: FaceReader
    if config.dataset == "rendered":
        shards = RenderedShards([config.root])
        shards.rescan()
        faces = Subset(shards, shards.holdout)
    else:
        reader = Aflw2000 if config.dataset == "aflw2000" else Pointing04
        faces = reader(config.root)
    if config.limit:
        faces = Subset(faces, np.arange(min(config.limit, len(faces))))
    return faces


def predict(model: HeadPoseModel, faces: FaceReader, detector: FaceDetector | None) -> Predictions:
    """Run the pipeline on every face; without a detector on the labelled boxes."""
    listening = ListeningModel(model)
    rows: list[tuple[Any, ...]] = []
    for index in tqdm(range(len(faces)), model.metadata.name, disable=None, leave=False):
        face = faces[index]
        given = GivenBoxes(face.box[None])
        target = TargetFace(detector or given)
        target.box = face.box
        head = only_head(listening, target, face.image)
        logits = listening.logits[0]
        width = face.image.shape[1]
        mirrored_box = np.array([width, 0, width, 0]) + head.box[[2, 1, 0, 3]] * (-1, 1, -1, 1)
        mirrored = np.ascontiguousarray(face.image[:, ::-1])
        other = only_head(listening, GivenBoxes(mirrored_box[None]), mirrored)
        rows.append(
            (
                face.angles_deg,
                head.paper_angles_deg,
                head.std_deg,
                other.paper_angles_deg,
                logits,
                head.box,
                target.missed,
            )
        )
    return Predictions(*(np.array(column) for column in zip(*rows, strict=True)))


def only_head(model: ListeningModel, detector: FaceDetector, image: Image) -> Head:
    """The head of a detector that reports one face."""
    (head,) = HeadPosePipeline(detector, model)(image, stamp_s=0.0).heads
    return head


def summarise(predictions: Predictions) -> dict[str, Any]:
    """All numbers of one model, as in results.json."""
    seen = predictions
    return {
        **accuracy(seen.mean_deg, seen.labels),
        "missed": int(seen.missed.sum()),
        "mirror": mirror_difference(seen.mean_deg, seen.of_mirrored),
        **calibration(seen.mean_deg, seen.std_deg, seen.labels),
    }


def print_zero_pose(name: str, predictions: Predictions) -> None:
    """Fit the constant rotation on every second face, and say what it does to the others."""
    mean, labels = predictions.mean_deg, predictions.labels
    checked = fit_zero_pose(mean[::2], labels[::2])
    before = accuracy(mean[1::2], labels[1::2])["mae"]["mean"]
    after = accuracy(turn_predictions(mean[1::2], checked), labels[1::2])["mae"]["mean"]
    zero = [round(float(angle), 2) for angle in fit_zero_pose(mean, labels)]
    print(f"{name}: --zero-pose-deg", *zero)
    print(f"  fitted on one half of the faces: {before:.2f} to {after:.2f} on the other half")


def table(results: dict[str, dict[str, Any]]) -> str:
    """The main numbers as a Markdown table, one model a line."""
    head = (
        "| model | yaw | pitch | roll | MAE | 0-30 | 30-60 | 60-99 | geodesic "
        "| bias yaw | pitch | roll | mirror | in 1 sigma | n | missed |"
    )
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    for name, numbers in results.items():
        mae, bias = numbers["mae"], numbers["bias"]
        cells = [mae["yaw"], mae["pitch"], mae["roll"], mae["mean"], *numbers["by_yaw"].values()]
        cells += [numbers["geodesic"], *bias.values(), numbers["mirror"]]
        texts = ["-" if cell is None else f"{cell:.2f}" for cell in cells]
        texts += [f"{numbers['coverage_1sigma']:.0%}", str(numbers["n"]), str(numbers["missed"])]
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Measure every model, write the files, print the table; returns what is in results.json."""
    config.out.mkdir(parents=True, exist_ok=True)
    faces = open_dataset(config)
    for reason, count in faces.skipped.items():
        print(f"left out: {count} ({reason})")
    detector = None
    if config.dataset != "rendered":
        detector = CachedYuNet(config.out / "detections.json")
    models: dict[str, dict[str, Any]] = {}
    for path in config.model:
        model = HeadPoseModel.load(path, device=config.device, threads=config.threads)
        predictions = predict(model, faces, detector)
        models[path.stem] = summarise(predictions)
        if config.fit_temperature:
            fitted = fit_temperature(predictions.logits, predictions.labels)
            models[path.stem]["temperature"] = [round(float(value), 3) for value in fitted]
            print(f"{path.stem}: --temperature", *models[path.stem]["temperature"])
        if config.fit_zero_pose:
            print_zero_pose(path.stem, predictions)
        draw_worst(config.out / f"worst-{path.stem}.png", faces, predictions)
        draw_errors(config.out / f"errors-{path.stem}.png", predictions)
    if detector:
        detector.save()
    results = {"dataset": config.dataset, "models": models}
    write_text(config.out / "results.json", json.dumps(results, indent=2) + "\n")
    print(table(models))
    return results


def main() -> None:
    """Command line."""
    evaluate(tyro.cli(EvaluateConfig, description=__doc__))


if __name__ == "__main__":
    main()
