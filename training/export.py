# SPDX-License-Identifier: Apache-2.0
"""Write the model file of trained weights: `python -m training.export --weights W --out M.onnx`.

Evaluate the file, then export again with `--temperature` and `--metrics` to store what came out.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from headpose_core.learning.export import export_model, shift_by_rounding
from headpose_core.learning.network import load_weights
from headpose_core.model_file import ModelMetadata


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
    training_data: str = "rendered heads only (training/synthesis)"
    licence: str = "Apache-2.0"
    metrics: Path | None = None
    """results.json of `training.evaluate` on the same weights."""


def git_hash() -> str:
    """Commit of the source tree, with `+` when files differ from it; `unknown` outside git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    folder = Path(__file__).parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


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


def export(config: ExportConfig) -> None:
    """Export and say how well it went."""
    network, _ = load_weights(config.weights)
    metadata = ModelMetadata(
        name=config.name,
        version=config.version,
        temperature=np.array(config.temperature),
        training_data=config.training_data,
        licence=config.licence,
        metrics=read_metrics(config.metrics) if config.metrics else {},
        git_hash=git_hash(),
    )
    config.out.parent.mkdir(parents=True, exist_ok=True)
    difference = export_model(network, metadata, config.out)
    print(f"{config.out}: {config.out.stat().st_size / 1e6:.1f} MB")
    print(f"largest difference of a logit from PyTorch on the same weights: {difference:.1e}")
    print(f"largest change of an angle by float16 storage: {shift_by_rounding(network):.1e} deg")


def main() -> None:
    """Command line."""
    export(tyro.cli(ExportConfig, description=__doc__))


if __name__ == "__main__":
    main()
