# SPDX-License-Identifier: Apache-2.0
"""CameraInfo as drivers send it: which cameras are understood, and why others are not."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from headpose_core.geometry.camera_model import is_calibrated, viewing_ray
from headpose_core.messages.cameras import InfoCamera, calibration_problem, camera_from_message
from headpose_core.types import FloatArray

K = np.array([[610.0, 0.0, 322.0], [0.0, 605.0, 238.0], [0.0, 0.0, 1.0]])
MODELS = {
    "": [],
    "plumb_bob": [-0.28, 0.07, 0.0002, 0.0001, -0.01],
    "rational_polynomial": [0.4, -0.2, 0.0005, -0.0003, 0.01, 0.7, -0.1, 0.02],
    "equidistant": [-0.02, 0.004, -0.003, 0.0005],
}


def region(*box: int) -> SimpleNamespace:
    """A RegionOfInterest at x, y of width and height."""
    x, y, width, height = box
    return SimpleNamespace(x_offset=x, y_offset=y, width=width, height=height, do_rectify=False)


def camera_info(model: str = "", **fields: object) -> SimpleNamespace:
    """A CameraInfo of 640x480 with what a ROS message has beside it."""
    known = {"width": 640, "height": 480, "k": K.ravel(), "d": MODELS.get(model, [])}
    known |= {"distortion_model": model, "binning_x": 0, "binning_y": 0}
    known |= {"roi": region(0, 0, 0, 0), "header": SimpleNamespace(frame_id="optical")}
    return SimpleNamespace(**{**known, **fields})


def project(info: SimpleNamespace, points: FloatArray) -> FloatArray:
    """Pixels of points (N, 3) on the whole sensor by OpenCV, which knows nothing of our code."""
    fisheye = info.distortion_model == "equidistant"
    function = cv2.fisheye.projectPoints if fisheye else cv2.projectPoints
    D = np.array(info.d, np.float64)
    pixels = function(points[:, None], np.zeros(3), np.zeros(3), info.k.reshape(3, 3), D)[0]
    return np.asarray(pixels[:, 0])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("binning", "bins"), [((0, 0), (1, 1)), ((2, 4), (2, 4))])
@pytest.mark.parametrize("box", [(0, 0, 0, 0), (120, 80, 320, 240)])
def test_region_and_binning_leave_the_rays_as_they_are(
    model: str, binning: tuple[int, int], bins: tuple[int, int], box: tuple[int, ...]
) -> None:
    x, y, width, height = box
    info = camera_info(model, binning_x=binning[0], binning_y=binning[1], roi=region(*box))
    cam = camera_from_message(info)
    expected = (width or 640) // bins[0], (height or 480) // bins[1]
    assert (cam.width, cam.height) == expected
    points = np.array([[0.1, -0.1, 1.0], [-0.2, 0.05, 1.0], [0.0, 0.0, 1.0]])
    # In edges instead of middles of pixels, cutting and binning are plain arithmetic.
    edges = project(info, points) + 0.5
    delivered = (edges - (x, y)) / bins - 0.5
    rays = points / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_allclose(viewing_ray(cam, delivered), rays, atol=2e-6)
    assert calibration_problem(cam, expected) == ""


def test_an_empty_region_is_the_whole_image_wherever_it_begins() -> None:
    cam = camera_from_message(camera_info(roi=region(9, 9, 0, 0)))
    np.testing.assert_array_equal(cam.K, K)
    assert (cam.width, cam.height) == (640, 480)


def test_the_optical_axis_may_lie_outside_of_a_region() -> None:
    for box in ((0, 0, 100, 80), (500, 400, 140, 80)):
        cam = camera_from_message(camera_info(roi=region(*box), binning_x=2, binning_y=2))
        assert calibration_problem(cam, (box[2] // 2, box[3] // 2)) == ""


@pytest.mark.parametrize("k", [np.zeros(9), np.full(9, np.nan)])
@pytest.mark.parametrize("box", [(0, 0, 0, 0), (120, 80, 320, 240)])
def test_an_uncalibrated_message_stays_uncalibrated(k: FloatArray, box: tuple[int, ...]) -> None:
    cam = camera_from_message(camera_info(k=k, binning_x=2, roi=region(*box)))
    assert not is_calibrated(cam)
    expected = "K has focal lengths of zero" if not k.any() else "K has numbers that are not"
    assert f"camera_info cannot be used: {expected}" in calibration_problem(cam, None)


@pytest.mark.parametrize(
    ("of_info", "of_image", "problem"),
    [
        ("optical", "optical", ""),
        ("/optical", "optical", ""),  # as ROS 1 wrote them
        ("", "optical", ""),
        ("optical", "", ""),
        ("optical", None, ""),
        ("depth", "color", "camera_info is of the frame 'depth', images are of 'color'"),
        ("left", "left_rect", "camera_info is of the frame 'left', images are of 'left_rect'"),
    ],
)
def test_the_calibration_of_another_camera_is_not_used(
    of_info: str, of_image: str | None, problem: str
) -> None:
    cam = camera_from_message(camera_info(header=SimpleNamespace(frame_id=of_info)))
    assert calibration_problem(cam, (640, 480), of_image) == problem


def test_sizes_and_what_did_not_come_yet() -> None:
    cam = camera_from_message(camera_info())
    assert calibration_problem(None, (640, 480), "optical") == "no camera_info yet"
    assert calibration_problem(cam, None) == ""
    assert calibration_problem(cam, (320, 240)) == (
        "camera_info is for 640x480, images are 320x240"
    )
    empty = camera_from_message(camera_info(width=0, height=0))
    assert "it is for images of 0x0 pixels" in calibration_problem(empty, (640, 480))


def test_a_camera_says_which_one_it_is() -> None:
    cam = camera_from_message(camera_info(), "/front/camera_info")
    assert str(cam) == "/front/camera_info (frame 'optical')"
    assert str(InfoCamera(640, 480, K)) == "camera_info (no frame_id)"
