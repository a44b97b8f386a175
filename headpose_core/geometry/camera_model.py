# SPDX-License-Identifier: Apache-2.0
"""Where a face is: viewing rays from a calibrated camera, and the position of the head.

The pose network sees a crop, and so a head as if it stood in the middle of the image. Its angles
are about the viewing ray of the face; ``ray_rotation`` turns them into the optical frame
(x right, y down, z forward).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeGuard

import cv2
import numpy as np
from numpy.typing import ArrayLike

from headpose_core.types import Camera, FloatArray

# The face as an ellipsoid whose outline fills the detector's box. In units of the face's height
# (chin to hairline) and in head axes (x to the image's right when frontal, y down, z backward).
# Fitted to YuNet's boxes on 500 rendered heads of all poses at known distances: 0 to 2 % bias at
# any yaw. On 78 frontal faces in photos, taken to have their eyes 63 mm apart, width and height
# come out as 0.71 and 0.91.
_FACE_AXES = np.array([0.71, 0.92, 0.61]) / 2
# The root of the nose, from the middle of the ellipsoid.
_SELLION = np.array([0.0, -0.11, -0.21])

# One-sigma of the distance, mostly because people's faces differ, and of the middle of the box in
# face heights, as found on the same heads.
_SIZE_STD = 0.1
_CENTRE_STD = 0.05
_BOX_STD_PX = 1.0

# Numbers of distortion by model. Drivers call all of OpenCV's polynomials plumb_bob.
_POLYNOMIALS = dict.fromkeys(("plumb_bob", "rational_polynomial"), (4, 5, 8, 12, 14))
COEFFICIENTS: dict[str, tuple[int, ...]] = {**_POLYNOMIALS, "equidistant": (4,)}
# Lens models that are no pinhole even when all their numbers are zero.
FISHEYE = re.compile("equi|fish|kannala|omni|mei|theta", re.IGNORECASE)


def is_calibrated(camera: Camera | None) -> TypeGuard[Camera]:
    """Whether rays can be computed: K is finite with positive focal lengths, D is understood.

    Distortion of an unknown model counts as uncalibrated, all zeros as no distortion. A fisheye
    lens needs a known model and its numbers; equidistant with zeros is the ideal one, whose radius
    in the image is the angle. ``calibration`` says why, and whether the numbers can be true.
    """
    if camera is None:
        return False
    K, D = np.asarray(camera.K), np.asarray(camera.D)
    if K.shape != (3, 3) or not (np.isfinite(K).all() and np.isfinite(D).all()):
        return False
    if not (K[0, 0] > 0 and K[1, 1] > 0):
        return False
    known = D.size in COEFFICIENTS.get(camera.distortion_model, ())
    return known or (not D.any() and not FISHEYE.search(camera.distortion_model))


def same_calibration(first: Camera | None, second: Camera | None) -> bool:
    """Whether two cameras give much the same rays: a lens that breathes as it focuses, whose K
    changes a little from image to image, stays the same camera."""
    if first is None or second is None:
        return first is second
    if (first.width, first.height) != (second.width, second.height):
        return False
    if first.distortion_model != second.distortion_model or first.D.shape != second.D.shape:
        return False
    off_px = np.abs(first.K - second.K).max()
    return bool(off_px <= 0.01 * first.K[0, 0] and np.allclose(first.D, second.D, atol=0.01))


def viewing_ray(camera: Camera, point_px: ArrayLike) -> FloatArray:
    """Unit vectors (..., 3) of a calibrated camera's pixels (..., 2), in the optical frame.

    A pixel that no ray in front of the lens distorts to gets the ray without distortion: far
    outside the image a distortion model means nothing.
    """
    pixels = np.asarray(point_px, np.float64)
    K = np.asarray(camera.K, np.float64)
    y = (pixels[..., 1] - K[1, 2]) / K[1, 1]
    x = (pixels[..., 0] - K[0, 2] - K[0, 1] * y) / K[0, 0]
    plane = np.stack([x, y], axis=-1)
    if camera.distortion_model == "equidistant":
        return _fisheye_ray(plane, camera.D)
    if not np.any(camera.D) or not plane.size:  # OpenCV does not take no points
        return _unit(plane)
    return _unit(_undistorted(plane, camera.D))


def ray_rotation(ray: ArrayLike) -> FloatArray:
    """R_ray (..., 3, 3): the smallest rotation of the optical axis onto unit ``ray`` (..., 3)."""
    x, y, z = np.moveaxis(np.asarray(ray, np.float64), -1, 0)
    square = x * x + y * y
    behind = (z < 0.0) & (square < 1e-24)  # straight behind: any half turn will do
    x, y, z = np.where(behind, 0.0, x), np.where(behind, 0.0, y), np.where(behind, -1.0, z)
    # 1 / (1 + z); for rays to the rear the same without a difference of nearly equal numbers.
    rear = (1.0 - z) / np.where(square < 1e-24, 1.0, square)
    scale = np.where(z < 0.0, rear, 1.0 / (1.0 + np.maximum(z, 0.0)))
    skew = -x * y * scale
    rows = (
        (1.0 - x * x * scale, skew, x),
        (skew, np.where(behind, -1.0, 1.0 - y * y * scale), y),
        (-x, -y, z),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


@dataclass(frozen=True)
class FaceRays:
    """How a camera sees N face boxes; all NaN, and not ``known``, without a calibration.

    centres: (N, 3) unit vectors through the middles of the boxes, in the optical frame.
    rotations: (N, 3, 3) R_ray, see ``ray_rotation``. half_sizes: (N, 2) sines of half the angles
    under which width and height are seen. half_px: (N, 2) half of width and height in pixels.
    """

    known: bool
    centres: FloatArray
    rotations: FloatArray
    half_sizes: FloatArray
    half_px: FloatArray

    @classmethod
    def of(cls, camera: Camera | None, boxes: ArrayLike) -> FaceRays:
        """The rays of boxes (N, 4) in pixels."""
        low, high = np.split(np.asarray(boxes, np.float64).reshape(-1, 4), 2, axis=1)
        middle, half = (low + high) / 2, (high - low) / 2
        if not is_calibrated(camera):
            nowhere = np.full((len(half), 3, 3), np.nan)
            return cls(False, nowhere[:, 0], nowhere, nowhere[:, 0, :2], half)
        sides = half[:, :, None] * np.eye(2)  # from the middle to the right and the lower edge
        points = [middle[:, None], middle[:, None] - sides, middle[:, None] + sides]
        rays = viewing_ray(camera, np.concatenate(points, axis=1))
        # From the chord between unit vectors.
        sines = np.linalg.norm(rays[:, 3:] - rays[:, 1:3], axis=2) / 2
        return cls(True, rays[:, 0], ray_rotation(rays[:, 0]), sines, half)


def sellion_positions(
    rays: FaceRays, rotations: ArrayLike, face_height_m: float
) -> tuple[FloatArray, FloatArray]:
    """Positions of the roots of the noses from the sizes of the faces in the image.

    rotations: (N, 3, 3) head to optical axes about the viewing ray. face_height_m: chin to
    hairline. Returns the positions (N, 3) in metres in the optical frame and their covariances
    (N, 3, 3) m^2: people's faces differ in size, so they grow with the square of the distance
    along the ray. NaN where the rays are not known.
    """
    R = np.asarray(rotations, np.float64)
    extents_m = face_height_m * np.linalg.norm(R[:, :2] * _FACE_AXES, axis=2)
    distance = np.sqrt(np.prod(extents_m / rays.half_sizes, axis=1))[:, None]
    offset = rays.rotations @ (R @ _SELLION)[..., None]
    positions = distance * rays.centres + face_height_m * offset[..., 0]

    noise = _BOX_STD_PX**2 / (4.0 * rays.half_px.prod(axis=1))  # of the box, relative to its size
    along = distance[:, 0] ** 2 * (_SIZE_STD**2 + noise)
    across = face_height_m**2 * (_CENTRE_STD**2 + noise)
    outer = rays.centres[:, :, None] * rays.centres[:, None, :]
    covariances = along[:, None, None] * outer + across[:, None, None] * (np.eye(3) - outer)
    return positions, covariances


def _undistorted(plane: FloatArray, D: FloatArray) -> FloatArray:
    """Ideal points (..., 2) of distorted ones in the plane z = 1, for OpenCV's polynomials."""
    points = plane.reshape(-1, 2)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-9)
    eye, zero = np.eye(3), np.zeros(3)
    ideal = cv2.undistortPointsIter(points, eye, D, eye, eye, criteria).reshape(-1, 2)
    rays = np.hstack([ideal, np.ones((len(ideal), 1))])
    again = cv2.projectPoints(rays, zero, zero, eye, D)[0].reshape(-1, 2)
    # Where the polynomial folds back the iteration ends somewhere else.
    good = np.linalg.norm(again - points, axis=1, keepdims=True) < 1e-3
    return np.where(good, ideal, points).reshape(plane.shape)


def _fisheye_ray(plane: FloatArray, D: FloatArray) -> FloatArray:
    """Unit vectors of distorted points for the equidistant model, beyond 90 degrees as well."""
    radii, angles = _fisheye_table(*np.ravel(D).tolist())
    radius = np.linalg.norm(plane, axis=-1, keepdims=True)
    theta = np.interp(radius, radii, angles)
    direction = plane / np.maximum(radius, np.finfo(float).tiny)
    return np.concatenate([np.sin(theta) * direction, np.cos(theta)], axis=-1)


@lru_cache(maxsize=8)
def _fisheye_table(k1: float, k2: float, k3: float, k4: float) -> tuple[FloatArray, FloatArray]:
    """Radii and their angles theta, up to where the radius stops rising.

    r = theta + k1 theta^3 + k2 theta^5 + k3 theta^7 + k4 theta^9, in steps of 0.4 mrad: between
    them the error is below 0.1 microrad.
    """
    angles = np.linspace(0.0, np.pi, 8192)
    square = angles**2
    slope = 1 + square * (3 * k1 + square * (5 * k2 + square * (7 * k3 + square * 9 * k4)))
    rising = np.argmax(slope <= 0) or len(angles)
    radii = angles * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
    return radii[:rising], angles[:rising]


def _unit(plane: FloatArray) -> FloatArray:
    """Unit vectors (..., 3) through points (..., 2) of the plane z = 1."""
    rays = np.concatenate([plane, np.ones((*plane.shape[:-1], 1))], axis=-1)
    return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))
