# SPDX-License-Identifier: Apache-2.0
"""BIWI Kinect head pose: `01/frame_00003_rgb.png` beside `_pose.txt`, with `01/rgb.cal`.

`_pose.txt` holds the head's rotation (3 x 3, head to depth camera; x right, y down, z forward) and
its centre in millimetres, in the depth camera's frame. `rgb.cal` holds the colour camera: its
intrinsic matrix, four distortion coefficients, and the rotation and translation (mm) that take a
point of the depth camera's frame into its own: the Kinect's colour camera stands 25 mm to the
right, and the translation's x is about -25. The pose in the picture is rotation times rotation; as
angles of the paper it is read from the matrix, because published code takes the Euler angles of
BIWI in the opposite order (Rz Ry Rx).

Published errors compare with the pose in the camera's axes. What a crop shows is the pose about
the ray on which the head is seen, 10 degrees apart at the rim of the picture: `read_biwi_ray`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.geometry.camera_model import ray_rotation
from headpose_core.geometry.rotation import angles_from_matrix
from headpose_core.learning.data.readers.picture_files import Entry, has_area, paired, usable
from headpose_core.learning.data.skipped_faces import DataError, Report
from headpose_core.types import FloatArray

PICTURE, LABEL = "_rgb.png", "_pose.txt"
# The face is in front of the head's centre; a box about it as a face detector draws one.
FACE_FORWARD_MM = 70.0
FACE_SIZE_MM = np.array([150.0, 190.0])


@dataclass(frozen=True)
class ColourCamera:
    """K: (3, 3) pixels. distortion: (4,). R (3, 3), t (3,) mm: depth frame to colour frame."""

    K: FloatArray
    distortion: FloatArray
    R: FloatArray
    t: FloatArray


def read_biwi_ray(root: Path, report: Report) -> Iterator[Entry]:
    """As `read_biwi`, with labels about the viewing ray of the face's box."""
    return read_biwi(root, report, about_ray=True)


def read_biwi(root: Path, report: Report, about_ray: bool = False) -> Iterator[Entry]:
    """Frames of all sequences, labels in the colour camera's axes; a sequence is a group."""
    folders = sorted(path.parent for path in root.glob("[0-9][0-9]/rgb.cal"))
    if not folders:
        raise DataError(f"expected NN/rgb.cal and NN/frame_*_rgb.png of BIWI in {root}")
    for folder in folders:
        try:
            camera = read_camera(folder / "rgb.cal")
        except DataError as error:
            report.broken(folder / "rgb.cal", str(error))
            continue
        for stem in paired(folder, PICTURE, LABEL, report):
            yield from _entry(stem, camera, about_ray, report)


def _entry(stem: Path, camera: ColourCamera, about_ray: bool, report: Report) -> Iterator[Entry]:
    label = stem.with_name(stem.name + LABEL)
    try:
        R, centre = read_pose(label)
    except DataError as error:
        report.broken(label, str(error))
        return
    R, centre = camera.R @ R, camera.R @ centre + camera.t
    if centre[2] <= FACE_FORWARD_MM:
        report.broken(label, "the head is behind the camera")
        return
    face = centre - FACE_FORWARD_MM * R[:, 2]  # the head's z axis points from nose to nape
    box = face_box(face, camera)
    if about_ray:
        R = ray_rotation(face / np.linalg.norm(face)).T @ R
    angles_deg = angles_from_matrix(R)
    if usable(label, angles_deg, report) and has_area(label, box, report):
        yield Entry(stem.with_name(stem.name + PICTURE), box, angles_deg, stem.parent.name)


def face_box(face: FloatArray, camera: ColourCamera) -> NDArray[np.float32]:
    """Box (4,) in pixels of a face whose middle (3,) is in mm of the colour frame."""
    origin = np.zeros(3)
    pixel = cv2.projectPoints(face[None], origin, origin, camera.K, camera.distortion)[0].ravel()
    half = FACE_SIZE_MM / 2 * np.diagonal(camera.K)[:2] / face[2]
    return np.concatenate([pixel - half, pixel + half]).astype(np.float32)


def read_camera(path: Path) -> ColourCamera:
    """The colour camera of a sequence. Raises DataError."""
    numbers = _numbers(path)
    # The file ends in width and height, which are not needed.
    if len(numbers) < 25:
        raise DataError("not a camera calibration")
    K, distortion, R, t = np.split(numbers[:25], (9, 13, 22))
    return ColourCamera(K.reshape(3, 3), distortion, _rotation(R), t)


def read_pose(path: Path) -> tuple[FloatArray, FloatArray]:
    """Rotation (3, 3) head to depth camera, and the head's centre (3,) in mm. DataError."""
    numbers = _numbers(path)
    if len(numbers) != 12:
        raise DataError("not a rotation and a position")
    return _rotation(numbers[:9]), numbers[9:]


def _rotation(numbers: FloatArray) -> FloatArray:
    R = numbers.reshape(3, 3)
    # Six digits are written.
    if not np.allclose(R @ R.T, np.eye(3), atol=1e-2) or np.linalg.det(R) < 0:
        raise DataError("the matrix is not a rotation")
    return R


def _numbers(path: Path) -> FloatArray:
    try:
        numbers = np.array(path.read_text().split(), np.float64)
    except (OSError, ValueError) as error:
        raise DataError("not a file of numbers") from error
    if not np.isfinite(numbers).all():
        raise DataError("not a file of numbers")
    return numbers
