# SPDX-License-Identifier: Apache-2.0
"""Whether a calibration can be true, and in words what is wrong with it.

Drivers send zeros, millimetres, matrices column by column. Rays can be computed of all but the
first, and are wrong.
"""

from __future__ import annotations

import numpy as np

from headpose_core.geometry.camera_model import COEFFICIENTS, FISHEYE
from headpose_core.types import Camera, FloatArray

# Degrees that a camera may see from edge to edge. The widest lens without fisheye projection has
# 150, the longest in use on robots has 3. A fisheye's circle may lie inside a wider sensor.
_FIELD_DEG = 2.0, 170.0
_FISHEYE_FIELD_DEG = 2.0, 360.0


def calibration_fault(
    camera: Camera, sensor: tuple[float, float, float, float] | None = None
) -> str:
    """Why nothing true can be computed with this calibration; "" when it can be right.

    sensor: (x1, y1, x2, y2) where the whole sensor lies, in pixels of the images, when they show
    a part of it: the optical axis may then lie outside of them.
    """
    K, D = np.asarray(camera.K, np.float64), np.asarray(camera.D, np.float64)
    area = (0.0, 0.0, float(camera.width), float(camera.height)) if sensor is None else sensor
    return (
        _fault_of_numbers(K, D)
        or _fault_of_distortion(D, camera.distortion_model)
        or _fault_of_place(K, area)
        or _fault_of_field(K, area, is_fisheye=camera.distortion_model == "equidistant")
    )


def _fault_of_numbers(K: FloatArray, D: FloatArray) -> str:
    if K.shape != (3, 3):
        return f"K is {K.shape}, expected (3, 3)"
    for name, values in (("K", K), ("D", D)):
        if not np.isfinite(values).all():
            return f"{name} has numbers that are not finite: {_list(values)}"
    if not np.diag(K)[:2].any():
        return "K has focal lengths of zero: the camera was never calibrated"
    if K[1, 0] or not np.array_equal(K[2], (0.0, 0.0, 1.0)):
        return (
            f"K is {_list(K)}, expected fx 0 cx, 0 fy cy, 0 0 1 row by row: "
            "it may be written column by column"
        )
    if not (K[0, 0] > 0 and K[1, 1] > 0):
        return f"K has the focal lengths {K[0, 0]:g} and {K[1, 1]:g}, expected more than 0"
    return ""


def _fault_of_distortion(D: FloatArray, model: str) -> str:
    counts = COEFFICIENTS.get(model, ())
    if D.size in counts or (not D.any() and not FISHEYE.search(model)):
        return ""
    if not counts:
        known = ", ".join(COEFFICIENTS)
        return f"the distortion model '{model}' is not known here, expected one of {known}"
    expected = " or ".join(map(str, counts))
    return f"the distortion model {model} has {D.size} numbers, expected {expected}"


def _fault_of_place(K: FloatArray, area: tuple[float, float, float, float]) -> str:
    x, y = K[0, 2], K[1, 2]
    x1, y1, x2, y2 = area
    if not (x2 > x1 and y2 > y1):
        return f"it is for images of {x2 - x1:g}x{y2 - y1:g} pixels"
    if not (x1 <= x <= x2 and y1 <= y <= y2):
        return (
            f"K has the optical axis at pixel ({x:g}, {y:g}), outside of the sensor of "
            f"{x2 - x1:g}x{y2 - y1:g}"
        )
    return ""


def _fault_of_field(
    K: FloatArray, area: tuple[float, float, float, float], *, is_fisheye: bool
) -> str:
    size, focal = np.subtract(area[2:], area[:2]), np.diag(K)[:2]
    # With the axis in the middle: with the axis in a corner half of the numbers would do.
    half = size / focal / 2
    field = np.degrees(2 * (half if is_fisheye else np.arctan(half)))
    least, most = _FISHEYE_FIELD_DEG if is_fisheye else _FIELD_DEG
    # A fisheye's circle may leave the sides of the sensor dark, or be cut above and below.
    if field.min() >= least and (field.min() if is_fisheye else field.max()) <= most:
        return ""
    return (
        f"the focal lengths {focal[0]:g} and {focal[1]:g} give {size[0]:g}x{size[1]:g} pixels a "
        f"field of view of {field[0]:.3g}x{field[1]:.3g} degrees, expected {least:g} to {most:g}: "
        "K has to be in pixels of the full image"
    )


def _list(values: FloatArray) -> str:
    return " ".join(f"{value:g}" for value in np.ravel(values))
