# SPDX-License-Identifier: Apache-2.0
"""Write the model file of trained weights: `python -m training.export --weights W --out M.onnx`.

Prints how far the file is from PyTorch on the same weights, and what their rounding to float16
changes: of the error on labelled faces with `--data`, else of the angles of test crops. Evaluate
the file, then export again with `--temperature` and `--metrics` to store what came out. With
`--int8` there is a second file beside it, NAME_int8.onnx, which computes in integers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from headpose_core.images.crop import CROP_SIZE, Fit
from headpose_core.learning.data.datasets import plain_views
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.learning.export.model_export import (
    angles_by_rounding,
    export_model,
    parity_crops,
)
from headpose_core.learning.export.quantise import SUFFIX, quantise_model
from headpose_core.learning.export.turn_fit import fit_turns
from headpose_core.learning.run.provenance import git_hash
from headpose_core.pose.model_file import ModelMetadata
from headpose_core.pose.networks.network import HeadPoseNet, crop_of, load_weights
from headpose_core.types import FloatArray


@dataclass(frozen=True)
class ExportConfig:
    """What to export, and what the file shall say about itself."""

    weights: Path
    """Weights of a training run (.safetensors)."""
    out: Path
    """Model file to write (.onnx)."""
    name: str = "ehpnet_resnet18"
    version: str = "1.0.0"
    temperature: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Calibrates the spread of yaw, pitch and roll; `training.evaluate --fit-temperature`."""
    crop_scale: float = 1.0
    """Of the detector's box at run time; the one with the least error on labelled faces."""
    training_data: str = "rendered heads only (training/synthesis)"
    licence: str = "Apache-2.0"
    metrics: Path | None = None
    """results.json of `training.evaluate` on the same weights."""
    data: tuple[str, ...] = ()
    """Labelled faces, as KIND:ROOT, on which to measure what the rounding does to the error."""
    faces: int = 1000
    """At most so many of them, evenly spread."""
    turns: tuple[str, ...] = ()
    """Upright faces, as KIND:ROOT, on which to learn how the network tells turned faces; a part of
    what it was trained on. Without them the file takes all faces to be upright."""
    turns_faces: int = 3000
    """At most so many of them, evenly spread."""
    int8: tuple[str, ...] = ()
    """Faces, as KIND:ROOT, on which to calibrate an int8 version as well; a part of what the
    network was trained on."""
    int8_faces: int = 256
    """At most so many of them, evenly spread."""


def read_metrics(path: Path) -> dict[str, Any]:
    """Numbers of a results.json that belongs to one model, by data set.

    Raises ValueError when there is not exactly one model in the file.
    """
    results = json.loads(path.read_text())
    models = list(results["models"].values())
    if len(models) != 1:
        raise ValueError(f"expected the results of one model in {path}, got {len(models)}")
    kept = ("mae", "n", "missed", "by_yaw", "geodesic", "coverage_1sigma")
    return {results["dataset"]: {key: models[0][key] for key in kept}}


def effect_of_rounding(network: HeadPoseNet, fit: Fit, config: ExportConfig) -> str:
    """What storing the weights as float16 changes, in words.

    Raises FileNotFoundError when the data hold no face.
    """
    if not config.data:
        exact, rounded = angles_by_rounding(network, parity_crops())
        return f"angles of {len(exact)} test crops by {change(exact, rounded)}"
    crops, labels = spread_views(config.data, config.faces, fit)
    exact, rounded = angles_by_rounding(network, crops)
    before, after = (float(np.nanmean(np.abs(angles - labels))) for angles in (exact, rounded))
    return (
        f"MAE on {len(labels)} faces from {before:.3f} to {after:.3f} deg "
        f"({after - before:+.1e}), angles by {change(exact, rounded)}"
    )


def spread_views(
    data: Sequence[str], count: int, fit: Fit
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Crops (N, 112, 112, 3) and labels (N, 3) of at most ``count`` faces, evenly spread.

    data: as KIND:ROOT. Raises FileNotFoundError when they hold no face.
    """
    faces = FacePool(data)
    faces.rescan()
    if not len(faces):
        raise FileNotFoundError(f"expected labelled faces in {', '.join(data)}, got none")
    chosen = np.linspace(0, len(faces) - 1, min(count, len(faces))).astype(np.int64)
    return plain_views(faces, chosen, CROP_SIZE, fit)


def turns_of(network: HeadPoseNet, fit: Fit, config: ExportConfig) -> FloatArray | None:
    """What tells turned faces by the logits of the network, and how well, in words."""
    if not config.turns:
        return None
    turns, right = fit_turns(network, *spread_views(config.turns, config.turns_faces, fit))
    print(f"of these faces' quarter turns {100 * right:.1f} % are told right")
    return turns


def change(before: FloatArray, after: FloatArray) -> str:
    """Largest and mean change of angles, in words."""
    apart = np.abs(after - before)
    return f"at most {apart.max():.1e} deg, {apart.mean():.1e} deg on average"


def export(config: ExportConfig) -> None:
    """Export and say how well it went."""
    network, notes = load_weights(config.weights)
    metadata = ModelMetadata(
        name=config.name,
        version=config.version,
        temperature=np.array(config.temperature),
        training_data=config.training_data,
        licence=config.licence,
        metrics=read_metrics(config.metrics) if config.metrics else {},
        git_hash=git_hash(),
        crop=crop_of(notes),
        crop_scale=config.crop_scale,
        turns=turns_of(network, crop_of(notes), config),
    )
    effect = effect_of_rounding(network, metadata.crop, config)  # first: its data may be missing
    config.out.parent.mkdir(parents=True, exist_ok=True)
    difference = export_model(network, metadata, config.out)
    print(f"{config.out}: {config.out.stat().st_size / 1e6:.1f} MB")
    print(f"largest difference of a logit from PyTorch on the same weights: {difference:.1e}")
    print(f"float16 storage changes {effect}")
    if config.int8:
        crops, _ = spread_views(config.int8, config.int8_faces, metadata.crop)
        small = config.out.with_stem(f"{config.out.stem}{SUFFIX}")
        moved = quantise_model(config.out, crops, small)
        print(f"{small}: {small.stat().st_size / 1e6:.1f} MB")
        print(f"int8 changes angles of {len(crops)} faces by {moved:.2f} deg on average")


def main() -> None:
    """Command line."""
    export(tyro.cli(ExportConfig, description=__doc__))


if __name__ == "__main__":
    main()
