# SPDX-License-Identifier: Apache-2.0
"""Where zero is: the constant rotation from MakeHuman's frontal head to 300W-LP's.

A face that looks straight ahead in MakeHuman does not do so in the labels of 300W-LP and
AFLW2000, whose zero is that of the Basel face model. The difference is found by geometry: the 3D
landmarks of AFLW2000 are turned back by their labelled pose, brought to one scale and averaged;
the rotation that lays MakeHuman's mean head on that mean shape is the one looked for. Only the
eyes and the nose are used: mouth and brows move with the expression, and the jaw line is
not the same set of points on both. The two heads are symmetric, so only the pitch counts.

    python -m training.synthesis.zero_pose --aflw2000 DIR --assets DIR

prints it for several sets of points; their spread says that it is known to about two degrees. A
constant rotation that is left after training can be measured on a validation set.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import ArrayLike, NDArray

from headpose_core.geometry.rotation import angles_from_matrix, matrix_from_angles
from headpose_core.learning.data.readers.mat_files import read_numbers
from headpose_core.learning.data.skipped_faces import LARGEST_ANGLE_DEG, DataError
from training.synthesis.library import AVERAGE_ADULT, HeadLibrary, load_library

# From optical axes (y down, z forward) to view axes (y up, z to the viewer), and back.
OPTICAL_TO_VIEW = np.diag([1.0, -1.0, -1.0])

ZERO_POSE_DEG = (0.0, 3.0, 0.0)  # yaw, pitch, roll, paper convention
# Rotation (3,3), view axes: takes MakeHuman's head to the zero of the labels.
ZERO_POSE = OPTICAL_TO_VIEW @ matrix_from_angles(ZERO_POSE_DEG) @ OPTICAL_TO_VIEW

POINT_SETS = {
    "eyes and nose": range(27, 48),
    "brows, eyes and nose": range(17, 48),
    "nose and eye corners": (36, 39, 42, 45, 27, 28, 29, 30, 31, 33, 35),
    "all but the jaw": range(17, 68),
    "all": range(68),
}


@dataclass(frozen=True)
class ZeroPoseConfig:
    """What to compare."""

    aflw2000: Path
    """Folder of AFLW2000's .mat files."""
    assets: Path
    """Folder of the MakeHuman parts."""


def rotation_between(points: ArrayLike, onto: ArrayLike) -> NDArray[np.float64]:
    """The rotation (3,3) that, with a shift and a scale, lays points (N,3) on others (N,3) best.

    Least squares (Kabsch 1976).
    """
    a, b = np.asarray(points, np.float64), np.asarray(onto, np.float64)
    u, _, vt = np.linalg.svd((a - a.mean(0)).T @ (b - b.mean(0)))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return np.asarray((u @ flip @ vt).T)


def mean_label_shape(folder: Path) -> NDArray[np.float64]:
    """Mean landmarks (68,3) of AFLW2000's .mat files in the zero pose of its labels.

    View axes; centred, of unit size. Raises FileNotFoundError when there are no .mat files,
    DataError when one is damaged.
    """
    files = sorted(folder.glob("*.mat"))
    if not files:
        raise FileNotFoundError(f"{folder}: expected AFLW2000's .mat files, found none")
    shapes = []
    for path in files:
        try:
            content = read_numbers(path)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        pitch, yaw, roll = np.degrees(content["Pose_Para"][0, :3])
        if max(abs(yaw), abs(pitch), abs(roll)) > LARGEST_ANGLE_DEG:
            continue  # beyond the range that the labels are used in
        # pt3d_68 is x right, y down like the image, but z to the viewer.
        optical = content["pt3d_68"].T * (1.0, 1.0, -1.0)
        turned_back = (optical - optical.mean(0)) @ matrix_from_angles((yaw, pitch, roll))
        shapes.append(turned_back / np.sqrt((turned_back**2).sum(1).mean()))
    return np.asarray(np.mean(shapes, axis=0) @ OPTICAL_TO_VIEW)


def mean_makehuman_shape(library: HeadLibrary) -> NDArray[np.float64]:
    """Landmarks (68,3) of MakeHuman's head averaged over young people of all races and sexes."""
    head = library.morph(AVERAGE_ADULT, library.base)
    return head[library.landmarks].astype(np.float64)


def main() -> None:
    """Print the rotation for several sets of points."""
    config = tyro.cli(ZeroPoseConfig, description=__doc__)
    labels = mean_label_shape(config.aflw2000)
    makehuman = mean_makehuman_shape(load_library(config.assets))
    print("rotation from MakeHuman's zero to the labels', degrees")
    for name, points in POINT_SETS.items():
        chosen = list(points)
        rotation = rotation_between(makehuman[chosen], labels[chosen])
        optical = OPTICAL_TO_VIEW @ rotation @ OPTICAL_TO_VIEW
        yaw, pitch, roll = angles_from_matrix(optical)
        print(f"{name:24s} yaw {yaw:5.2f}  pitch {pitch:5.2f}  roll {roll:5.2f}")


if __name__ == "__main__":
    main()
