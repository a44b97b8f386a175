# SPDX-License-Identifier: Apache-2.0
"""Calibrations that can be true pass; each other one is refused for its own reason."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpose_core.geometry.calibration import calibration_fault
from headpose_core.geometry.camera_model import is_calibrated, viewing_ray
from headpose_core.types import Camera

POLYNOMIAL = [-0.1, 0.05, 2e-4, 1e-4, -0.01, 0.1, 0.02, 0.01, 1e-3, -1e-3, 5e-4, 2e-4, 0.01, -0.02]


def matrix(fx: float, cx: float, cy: float, fy: float = 0.0) -> np.ndarray:
    return np.array([[fx, 0.0, cx], [0.0, fy or fx, cy], [0.0, 0.0, 1.0]])


def camera(
    fx: float = 610.0, cx: float = 322.0, cy: float = 238.0, D: object = (), model: str = ""
) -> Camera:
    """Of 640x480 pixels."""
    return Camera(640, 480, matrix(fx, cx, cy), np.array(D, np.float64), model)


@pytest.mark.parametrize("model", ["plumb_bob", "rational_polynomial"])
@pytest.mark.parametrize("count", [4, 5, 8, 12, 14])
def test_a_polynomial_is_taken_by_its_length(model: str, count: int) -> None:
    cam = camera(D=POLYNOMIAL[:count], model=model)
    assert calibration_fault(cam) == ""
    points = np.array([[0.3, -0.2, 1.0], [-0.4, 0.1, 1.0], [0.0, 0.3, 1.0]])
    pixels = cv2.projectPoints(points[:, None], np.zeros(3), np.zeros(3), cam.K, cam.D)[0][:, 0]
    rays = points / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_allclose(viewing_ray(cam, pixels), rays, atol=2e-6)


@pytest.mark.parametrize(
    ("cam", "reason"),
    [
        (camera(D=[0.1] * 4, model="kannala_brandt"), "model 'kannala_brandt' is not known"),
        (camera(D=[0.0] * 4, model="fisheye62"), "model 'fisheye62' is not known"),
        (camera(D=[0.1] * 2, model="division"), "expected one of plumb_bob, rational_polynomial"),
        (camera(D=[0.1] * 3, model="plumb_bob"), "has 3 numbers, expected 4 or 5 or 8 or 12 or"),
        (camera(D=[0.1] * 6, model="rational_polynomial"), "rational_polynomial has 6 numbers"),
        (camera(D=[0.1] * 8, model="equidistant"), "equidistant has 8 numbers, expected 4"),
        (camera(model="equidistant"), "equidistant has 0 numbers, expected 4"),
        (camera(D=[0.1, np.inf, 0, 0], model="plumb_bob"), "D has numbers that are not finite"),
        (camera(cx=np.nan), "K has numbers that are not finite: 610 0 nan"),
        (camera(fx=0.0, cx=0.0, cy=0.0), "K has focal lengths of zero"),
        (camera(fx=-610.0), "focal lengths -610 and -610, expected more than 0"),
        (Camera(640, 480, matrix(610.0, 322.0, 238.0, fy=-600.0)), "610 and -600, expected more"),
    ],
)
def test_each_refusal_has_its_own_reason(cam: Camera, reason: str) -> None:
    assert reason in calibration_fault(cam)
    assert not is_calibrated(cam)


@pytest.mark.parametrize(
    ("cam", "reason"),
    [
        # Millimetres: a 4 mm lens before a chip of 5.6 x 4.2 mm, and of a webcam in metres.
        (camera(4.0, 2.8, 2.1), "640x480 pixels a field of view of 179x178 degrees"),
        (camera(0.004, 0.0028, 0.0021), "180x180 degrees, expected 2 to 170"),
        # Normalised by the width, and to the range from -1 to 1.
        (camera(0.95, 0.5, 0.375), "expected 2 to 170: K has to be in pixels"),
        (camera(1.9, 0.0, 0.0), "degrees, expected 2 to 170"),
        (camera(1e9), "field of view of 3.67e-05x2.75e-05 degrees, expected 2"),
        (camera(30_000.0), "field of view of 1.22x0.917 degrees"),
        (Camera(640, 480, matrix(610.0, 322.0, 238.0).T), "322 238 1, expected fx 0 cx"),
        (Camera(640, 480, matrix(300.0, 100.0, 90.0).T), "written column by column"),
        (camera(cx=961.0, cy=540.0), "pixel (961, 540), outside of the sensor of 640x480"),
        (camera(cx=-3.0), "pixel (-3, 238), outside of the sensor"),
        (camera(2.0, D=[0.0] * 4, model="equidistant"), "degrees, expected 2 to 360"),
        (camera(0.9, 0.5, 0.4, D=[0.1] * 4, model="equidistant"), "degrees, expected 2 to 360"),
    ],
)
def test_an_impossible_matrix_is_refused_with_its_numbers(cam: Camera, reason: str) -> None:
    assert reason in calibration_fault(cam)


@pytest.mark.parametrize(
    "cam",
    [
        camera(),
        camera(30.0),  # 169 degrees
        camera(13_000.0),  # a telescope
        camera(cx=0.0, cy=0.0),
        Camera(3840, 720, matrix(2000.0, 1900.0, 350.0)),
        camera(130.0, D=[0.01] * 4, model="equidistant"),  # 282 degrees from side to side
        Camera(1920, 1080, matrix(210.0, 960.0, 540.0), np.zeros(4), "equidistant"),  # 524 x 295
        camera(D=[0.0] * 5, model="something"),
    ],
)
def test_cameras_that_exist_are_taken(cam: Camera) -> None:
    assert calibration_fault(cam) == ""
    assert is_calibrated(cam)


def test_the_optical_axis_may_lie_outside_the_part_of_a_sensor() -> None:
    part = Camera(100, 80, matrix(610.0, 322.0, 238.0))
    assert "outside of the sensor of 100x80" in calibration_fault(part)
    assert calibration_fault(part, (0.0, 0.0, 640.0, 480.0)) == ""


numbers = st.floats() | st.sampled_from([0.0, 1.0, 500.0, -1.0, np.nan, np.inf])


@given(
    K=st.lists(numbers, min_size=9, max_size=9),
    D=st.lists(numbers, max_size=15),
    model=st.sampled_from(["", "plumb_bob", "equidistant", "kannala_brandt4", "x"]),
    size=st.tuples(st.integers(0, 5000), st.integers(0, 5000)),
)
def test_what_has_no_fault_gives_rays(
    K: list[float], D: list[float], model: str, size: tuple[int, int]
) -> None:
    cam = Camera(*size, np.reshape(K, (3, 3)), np.array(D, np.float64), model)
    fault = calibration_fault(cam)
    assert fault or is_calibrated(cam)
