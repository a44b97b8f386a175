# SPDX-License-Identifier: Apache-2.0
"""Writes small data sets exactly as their authors distribute them, with drawn faces."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from headpose_core.images.image_files import write_image
from headpose_core.types import FloatArray, Image
from tests.learning.drawn_faces import draw_face

# The tight box about the landmarks that these files have.
LANDMARK_BOX = (40.0, 30.0, 120.0, 130.0)
_POINTS = np.linspace([40.0, 30.0, -5.0], [120.0, 130.0, 60.0], 68).T


def pose_para(angles_deg: tuple[float, float, float]) -> FloatArray:
    """(1, 7): pitch, yaw, roll in radians, translation, scale."""
    yaw, pitch, roll = np.radians(angles_deg)
    return np.array([[pitch, yaw, roll, 10.0, 20.0, 0.0, 1e-3]], np.float32)


def write_aflw(folder: Path, name: str, angles_deg: tuple[float, float, float]) -> None:
    """AFLW2000-3D: 21 landmarks in `pt2d`, -1 where hidden, 68 in `pt3d_68`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / f"{name}.jpg", draw_face(np.array(angles_deg)))
    hidden = np.full((2, 21), -1.0)
    label = {"Pose_Para": pose_para(angles_deg), "pt3d_68": _POINTS, "pt2d": hidden}
    savemat(folder / f"{name}.mat", label)


def write_300w_lp(root: Path, name: str, angles_deg: tuple[float, float, float]) -> None:
    """300W-LP: `AFW/AFW_1_0.mat` has 68 landmarks in `pt2d`; and its half in `AFW_Flip`."""
    part = name.split("_")[0]
    yaw, pitch, roll = angles_deg
    image = draw_face(np.array(angles_deg))
    for half, pixels, label in (
        ("", image, angles_deg),
        ("_Flip", np.ascontiguousarray(image[:, ::-1]), (-yaw, pitch, -roll)),
    ):
        folder = root / f"{part}{half}"
        folder.mkdir(parents=True, exist_ok=True)
        write_image(folder / f"{name}.jpg", pixels)
        mat = {"Pose_Para": pose_para(label), "pt2d": _POINTS[:2], "roi": np.zeros((1, 4))}
        savemat(folder / f"{name}.mat", mat)
    # The archive also has landmarks in files of another kind, and code.
    (root / "landmarks" / part).mkdir(parents=True, exist_ok=True)
    savemat(root / "landmarks" / part / f"{name}_pts.mat", {"pts_2d": _POINTS[:2].T})


def write_pointing04(root: Path, name: str) -> None:
    """`Person01/person01258+15-30.jpg` with a box of 40 x 60 pixels about (80, 70)."""
    person = root / f"P{name[1:8]}"
    person.mkdir(parents=True, exist_ok=True)
    write_image(person / f"{name}.jpg", draw_face(np.zeros(3)))
    (person / f"{name}.txt").write_text(f"{name}.jpg\n\nFace\n80\n70\n40\n60\n")


def write_biwi_camera(
    sequence: Path, K: FloatArray, R: FloatArray, t_mm: tuple[float, float, float]
) -> None:
    """`01/rgb.cal`."""
    sequence.mkdir(parents=True, exist_ok=True)
    blocks = (_rows(K), "0 0 0 0 \n", _rows(R), _rows(np.array([t_mm])), "640 480\n")
    (sequence / "rgb.cal").write_text("\n".join(blocks))


def write_biwi_frame(
    sequence: Path, number: int, R: FloatArray, centre_mm: tuple[float, float, float], image: Image
) -> None:
    """`01/frame_00003_rgb.png` and `_pose.txt`."""
    sequence.mkdir(parents=True, exist_ok=True)
    stem = sequence / f"frame_{number:05d}"
    cv2.imwrite(f"{stem}_rgb.png", image[..., ::-1])
    Path(f"{stem}_pose.txt").write_text(_rows(R) + "\n" + _rows(np.array([centre_mm])))


def _rows(matrix: FloatArray) -> str:
    return "".join(" ".join(f"{value:.6g}" for value in row) + " \n" for row in matrix)
