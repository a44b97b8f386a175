# SPDX-License-Identifier: Apache-2.0
"""The models that come with the package, and how they are asked for by name."""

from __future__ import annotations

import os
from pathlib import Path

from headpose_core.errors import ModelError

WEIGHTS = Path(__file__).parents[1] / "weights"
DEFAULT_MODEL = WEIGHTS / "ehpnet_resnet18.onnx"


def shipped_models() -> list[Path]:
    """Files of the shipped models, the default first."""
    return sorted(WEIGHTS.glob("*.onnx"), key=lambda file: (file != DEFAULT_MODEL, file.name))


def model_path(given: str | os.PathLike[str] | None = None) -> Path:
    """The model file meant: a path, the name of a shipped one as ``ehpnet_lite``, or the default.

    Raises ModelError for a bare name that is neither a file nor shipped.
    """
    if given is None:
        return DEFAULT_MODEL
    path = Path(given)
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    shipped = {file.stem: file for file in shipped_models()}
    if path.name not in shipped:
        raise ModelError(
            f"{path.name}: expected the path of an .onnx file or the name of a shipped model, "
            f"{', '.join(shipped)}"
        )
    return shipped[path.name]
