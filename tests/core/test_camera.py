# SPDX-License-Identifier: Apache-2.0
"""Rays and positions against OpenCV's projection of known points."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpose_core.camera import is_calibrated, ray_rotation, sellion_positions, viewing_ray
from headpose_core.rotation import geodesic_deg, matrix_from_angles
from headpose_core.types import Camera

K = np.array([[610.0, 0.0, 322.0], [0.0, 605.0, 238.0], [0.0, 0.0, 1.0]])
MODELS = {
    "": [],
    "plumb_bob": [-0.28, 0.07, 0.0002, 0.0001, -0.01],
    "rational_polynomial": [0.4, -0.2, 0.0005, -0.0003, 0.01, 0.7, -0.1, 0.02],
    "equidistant": [-0.02, 0.004, -0.003, 0.0005],
}


def camera(model: str = "", matrix: np.ndarray = K) -> Camera:
    return Camera(640, 480, matrix, np.array(MODELS[model]), model)


def project(cam: Camera, points: np.ndarray) -> np.ndarray:
    """Pixels of points (N, 3) by OpenCV, which knows nothing of our code."""
    zero = np.zeros(3)
    if cam.distortion_model == "equidistant":
        pixels, _ = cv2.fisheye.projectPoints(points[:, None], zero, zero, cam.K, cam.D)
    else:
        pixels, _ = cv2.projectPoints(points[:, None], zero, zero, cam.K, cam.D)
    return pixels[:, 0]


@pytest.mark.parametrize("model", MODELS)
def test_a_ray_leads_back_to_the_point_that_was_projected(model: str) -> None:
    cam = camera(model)
    grid = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(-0.4, 0.4, 7)), -1)
    points = np.concatenate([grid.reshape(-1, 2), np.ones((63, 1))], axis=1) * 1.7
    rays = viewing_ray(cam, project(cam, points))
    expected = points / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_allclose(rays, expected, atol=2e-6)


def test_a_fisheye_sees_beyond_90_degrees() -> None:
    cam = camera("equidistant")
    theta = np.radians(100.0)
    k1, k2, k3, k4 = cam.D
    radius = theta + k1 * theta**3 + k2 * theta**5 + k3 * theta**7 + k4 * theta**9
    ray = viewing_ray(cam, (K[0, 2] + K[0, 0] * radius, K[1, 2]))
    np.testing.assert_allclose(ray, [np.sin(theta), 0.0, np.cos(theta)], atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
@given(x=st.floats(-1e4, 1e4), y=st.floats(-1e4, 1e4))
def test_every_pixel_has_a_unit_ray(model: str, x: float, y: float) -> None:
    ray = viewing_ray(camera(model), (x, y))
    assert np.linalg.norm(ray) == pytest.approx(1.0)


def test_principal_point_looks_along_the_axis() -> None:
    np.testing.assert_allclose(viewing_ray(camera("plumb_bob"), K[:2, 2]), [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        Camera(640, 480, np.zeros((3, 3))),
        Camera(640, 480, np.where(K == 610.0, np.nan, K)),
        Camera(640, 480, np.where(K == 605.0, 0.0, K)),
        Camera(640, 480, -K),
        Camera(640, 480, K, np.array([np.nan] * 5), "plumb_bob"),
        Camera(640, 480, K, np.array([0.1] * 5), "thin_prism_of_someone"),
        Camera(640, 480, K, np.array([0.1] * 3), "plumb_bob"),
    ],
)
def test_what_cannot_give_rays_is_uncalibrated(broken: Camera | None) -> None:
    assert not is_calibrated(broken)


@pytest.mark.parametrize("model", MODELS)
def test_real_calibrations_are_calibrated(model: str) -> None:
    assert is_calibrated(camera(model))
    assert is_calibrated(Camera(640, 480, K, np.zeros(5), "something"))


unit_rays = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1)


@given(unit_rays)
def test_ray_rotation_is_the_smallest_rotation_onto_the_ray(vector: tuple[float, ...]) -> None:
    ray = np.array(vector) / np.linalg.norm(vector)
    R = ray_rotation(ray)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(R @ [0, 0, 1], ray, atol=1e-6)
    assert np.linalg.det(R) == pytest.approx(1.0)
    angle = np.degrees(np.arctan2(np.hypot(ray[0], ray[1]), ray[2]))
    assert geodesic_deg(R, np.eye(3)) == pytest.approx(angle, abs=1e-3)


def seen_box(cam: Camera, centre: np.ndarray, rotation: np.ndarray, height_m: float) -> np.ndarray:
    """The pixels that a face-sized ellipsoid covers, from points on its surface."""
    rng = np.random.default_rng(0)
    surface = rng.normal(size=(20_000, 3))
    surface /= np.linalg.norm(surface, axis=1, keepdims=True)
    surface *= np.array([0.71, 0.92, 0.61]) / 2 * height_m
    pixels = project(cam, surface @ rotation.T + centre)
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("angles", [(0, 0, 0), (60, 0, 0), (0, -40, 0), (20, 10, 70)])
@pytest.mark.parametrize("place", [(0.0, 0.0, 0.5), (0.3, -0.2, 0.9), (-0.8, 0.6, 3.0)])
def test_position_of_a_head_of_known_size(
    model: str, angles: tuple[float, ...], place: tuple[float, ...]
) -> None:
    cam, centre = camera(model), np.array(place)
    about_ray = matrix_from_angles(angles)
    ray = centre / np.linalg.norm(centre)
    rotation = ray_rotation(ray) @ about_ray
    box = seen_box(cam, centre, rotation, 0.19)

    (position,), (covariance,) = sellion_positions(cam, [box], [about_ray], 0.19)

    sellion = centre + rotation @ (0.19 * np.array([0.0, -0.11, -0.21]))
    assert np.linalg.norm(position - sellion) < 0.03 * np.linalg.norm(centre)
    np.testing.assert_allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_position_scales_with_the_size_of_the_face_and_doubt_with_distance() -> None:
    cam, R = camera(), np.eye(3)
    boxes = [(300, 200, 360, 280), (315, 220, 345, 260)]
    (near, far), (near_cov, far_cov) = sellion_positions(cam, boxes, [R, R], 0.19)
    (large,), _ = sellion_positions(cam, boxes[:1], [R], 0.38)
    np.testing.assert_allclose(large, 2 * near)
    assert far[2] > 1.8 * near[2]
    assert far_cov[2, 2] > 3.5 * near_cov[2, 2]
    assert near_cov[2, 2] > near_cov[0, 0]
