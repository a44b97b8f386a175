# SPDX-License-Identifier: Apache-2.0
"""Rays and positions against OpenCV's projection of known points."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpose_core.geometry.camera_model import (
    FaceRays,
    is_calibrated,
    ray_rotation,
    same_calibration,
    sellion_positions,
    viewing_ray,
)
from headpose_core.geometry.rotation import geodesic_deg, matrix_from_angles
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


def test_the_radius_in_an_ideal_fisheye_is_the_angle() -> None:
    cam = Camera(640, 480, K, np.zeros(4), "equidistant")
    assert is_calibrated(cam)
    theta = np.radians([20.0, 40.0, 60.0])
    pixels = np.stack([K[0, 2] + K[0, 0] * theta, np.full(3, K[1, 2])], axis=-1)
    expected = np.stack([np.sin(theta), np.zeros(3), np.cos(theta)], axis=-1)
    np.testing.assert_allclose(viewing_ray(cam, pixels), expected, atol=1e-6)
    np.testing.assert_allclose(project(cam, expected), pixels, atol=1e-6)


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
        Camera(640, 480, K, np.zeros(0), "equidistant"),
        Camera(640, 480, K, np.zeros(4), "kannala_brandt4"),
        Camera(640, 480, K, np.zeros(4), "OmniRadial"),
    ],
)
def test_what_cannot_give_rays_is_uncalibrated(broken: Camera | None) -> None:
    assert not is_calibrated(broken)


@pytest.mark.parametrize("model", MODELS)
def test_real_calibrations_are_calibrated(model: str) -> None:
    assert is_calibrated(camera(model))
    assert is_calibrated(Camera(640, 480, K, np.zeros(5), "something"))


def test_a_camera_stays_the_same_while_its_lens_breathes() -> None:
    assert same_calibration(None, None)
    assert not same_calibration(camera(), None)
    assert same_calibration(camera("plumb_bob"), camera("plumb_bob", K + 0.5))
    assert not same_calibration(camera(), camera(matrix=K * (1.1, 1, 1)))
    assert not same_calibration(camera(), camera("plumb_bob"))
    assert not same_calibration(camera(), Camera(320, 240, K))


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


@given(st.lists(unit_rays, min_size=1, max_size=4))
def test_rotations_onto_many_rays_are_those_onto_each(vectors: list[tuple[float, ...]]) -> None:
    rays = np.array(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_array_equal(ray_rotation(rays), [ray_rotation(ray) for ray in rays])


@pytest.mark.parametrize("model", MODELS)
def test_the_rays_of_faces_are_those_of_their_middles(model: str) -> None:
    boxes = np.array([[300.0, 200, 360, 280], [20, 30, 100, 120]])
    rays = FaceRays.of(camera(model), boxes)
    middles = viewing_ray(camera(model), boxes.reshape(2, 2, 2).mean(axis=1))
    assert rays.known
    np.testing.assert_array_equal(rays.centres, middles)
    np.testing.assert_array_equal(rays.rotations, ray_rotation(middles))


def test_without_a_calibration_no_rays_and_no_positions() -> None:
    boxes = [[300, 200, 360, 280], [20, 30, 100, 120]]
    for cam in (None, Camera(640, 480, np.zeros((3, 3)))):
        rays = FaceRays.of(cam, boxes)
        assert not rays.known
        positions, covariances = sellion_positions(rays, [np.eye(3)] * 2, 0.19)
        assert positions.shape == (2, 3)
        assert covariances.shape == (2, 3, 3)
        assert np.isnan(positions).all()
        assert np.isnan(covariances).all()


@pytest.mark.parametrize("model", MODELS)
def test_no_faces_have_no_positions(model: str) -> None:
    rays = FaceRays.of(camera(model), np.zeros((0, 4)))
    assert rays.rotations.shape == (0, 3, 3)
    positions, covariances = sellion_positions(rays, np.zeros((0, 3, 3)), 0.19)
    assert positions.shape == (0, 3)
    assert covariances.shape == (0, 3, 3)


def seen_box(
    cam: Camera, centre: np.ndarray, rotation: np.ndarray, height_m: float, points: int = 20_000
) -> np.ndarray:
    """The pixels that a face-sized ellipsoid covers, from points on its surface."""
    rng = np.random.default_rng(0)
    surface = rng.normal(size=(points, 3))
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

    (position,), (covariance,) = sellion_positions(FaceRays.of(cam, [box]), [about_ray], 0.19)

    sellion = centre + rotation @ (0.19 * np.array([0.0, -0.11, -0.21]))
    assert np.linalg.norm(position - sellion) < 0.03 * np.linalg.norm(centre)
    np.testing.assert_allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_position_scales_with_face_size_and_doubt_with_distance() -> None:
    cam, R = camera(), np.eye(3)
    boxes = [(300, 200, 360, 280), (315, 220, 345, 260)]
    (near, far), (near_cov, far_cov) = sellion_positions(FaceRays.of(cam, boxes), [R, R], 0.19)
    (large,), _ = sellion_positions(FaceRays.of(cam, boxes[:1]), [R], 0.38)
    np.testing.assert_allclose(large, 2 * near)
    assert far[2] > 1.8 * near[2]
    assert far_cov[2, 2] > 3.5 * near_cov[2, 2]
    assert near_cov[2, 2] > near_cov[0, 0]


@pytest.mark.parametrize("place", [(0.1, 0.05, 0.5), (-0.9, 0.5, 2.0), (0.4, -0.3, 5.0)])
def test_position_covariance_agrees_with_monte_carlo(place: tuple[float, ...]) -> None:
    """Heads that differ in size by a tenth, under boxes as inexact as a detector's."""
    rng, cam = np.random.default_rng(4), camera()
    ray = np.array(place) / np.linalg.norm(place)
    about_ray = matrix_from_angles((25.0, -10.0, 5.0))
    boxes, truth = [], []
    for _ in range(400):
        height_m = 0.19 * (1.0 + 0.1 * rng.normal())
        rotation = ray_rotation(ray) @ about_ray
        box = seen_box(cam, np.array(place), rotation, height_m, points=1000)
        shift_px = 0.05 * height_m * K[0, 0] / place[2] * rng.normal(size=2)
        boxes.append(box + np.tile(shift_px, 2) + rng.normal(size=4))
        truth.append(np.array(place) + rotation @ (height_m * np.array([0.0, -0.11, -0.21])))
    found, covariances = sellion_positions(FaceRays.of(cam, boxes), [about_ray] * 400, 0.19)
    off = found - truth
    share = np.einsum("ni,nij,nj->n", off, np.linalg.inv(covariances), off).mean() / 3
    assert 0.7 < share < 1.3
    told = np.sqrt(np.einsum("i,nij,j->n", ray, covariances, ray))
    assert (off @ ray).std() == pytest.approx(np.median(told), rel=0.2)
    assert (off - (off @ ray)[:, None] * ray).std() < 0.1 * 0.19
