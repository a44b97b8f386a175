# SPDX-License-Identifier: Apache-2.0
"""Rendered heads of known pose, seen by cameras: through lenses, in corners, under noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

pytest.importorskip("moderngl")
pytest.importorskip("scipy")

from headpose_core.faces.tracking import Tracker
from headpose_core.faces.yunet import YuNet
from headpose_core.geometry.rotation import geodesic_deg, matrix_from_angles
from headpose_core.images.image_view import as_view
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.types import Camera, FloatArray, Head, Image
from tools.pictures.studio import portrait
from training.synthesis.camera import place_camera

if TYPE_CHECKING:
    from training.synthesis.engine import Engine

SIZE = (640, 360)
K = np.array([[300.0, 0.0, 319.5], [0.0, 300.0, 179.5], [0.0, 0.0, 1.0]])
CAMERAS = {
    "pinhole": Camera(*SIZE, K),
    "plumb_bob": Camera(*SIZE, K, np.array([-0.2, 0.05, 0.001, -0.0005, -0.005]), "plumb_bob"),
    "fisheye": Camera(*SIZE, K, np.array([-0.01, 0.003, -0.002, 0.0004]), "equidistant"),
}
CENTRE, CORNERS = (320, 180), ((85, 60), (555, 300))
DISTANCE_M = 0.9
POSES = ((0.0, 0.0, 0.0), (20.0, 0.0, 0.0), (-15.0, 8.0, 5.0), (0.0, -10.0, -8.0))


@dataclass(frozen=True)
class Portrait:
    """A rendered head in the middle of a picture (S, S, 3), and the focal length of that."""

    picture: Image
    focal_px: float
    rotation: FloatArray


@pytest.fixture(scope="module")
def portraits(engine: Engine) -> list[Portrait]:
    found = []
    for number, angles in enumerate(POSES):
        person = replace(engine.person(40 + number), glasses=None, mask_colour=None)
        scene = replace(portrait(np.array(angles)), distance_m=DISTANCE_M)
        camera, _ = place_camera(engine.builder.build(person, scene), scene, engine.frame_size)
        picture = engine.render(0, person, scene).frame
        found.append(Portrait(picture, camera.focal_px, matrix_from_angles(angles)))
    return found


@pytest.fixture(scope="module")
def pipeline() -> HeadPosePipeline:
    return HeadPosePipeline(YuNet(), HeadPoseModel.load())


def rays_of(camera: Camera) -> FloatArray:
    """(H, W, 3) of all pixels, by OpenCV alone."""
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float64) for side in SIZE))
    pixels = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
    undistort = cv2.fisheye if camera.distortion_model == "equidistant" else cv2
    D = camera.D if camera.D.size else np.zeros(4)
    plane = undistort.undistortPoints(pixels, camera.K, D).reshape(*x.shape, 2)
    return np.concatenate([plane, np.ones((*x.shape, 1))], axis=-1)


def photograph(
    head: Portrait, camera: Camera, pixel: tuple[int, int], roll_deg: float
) -> tuple[Image, FloatArray, float]:
    """A head in front of the viewing ray of a pixel: the image, the true orientation of the head
    in the optical frame, and the ray's angle from the axis in degrees."""
    rays = rays_of(camera)
    ray = rays[pixel[1], pixel[0]] / np.linalg.norm(rays[pixel[1], pixel[0]])
    axis, angle = np.cross([0.0, 0.0, 1.0], ray), np.arccos(ray[2])
    length = np.linalg.norm(axis)
    # The camera that took the portrait, in the axes of this one; it may hang askew.
    turn = cv2.Rodrigues(axis / length * angle)[0] if length > 1e-6 else np.eye(3)
    turn = turn @ cv2.Rodrigues(np.radians([0.0, 0.0, roll_deg]))[0]
    seen = rays @ turn
    places = seen[..., :2] / seen[..., 2:] * head.focal_px + head.picture.shape[0] / 2 - 0.5
    places[seen[..., 2] <= 0] = -1e4
    x, y = np.moveaxis(places.astype(np.float32), -1, 0)
    image = cv2.remap(head.picture, x, y, cv2.INTER_LINEAR, borderValue=(90, 90, 90))
    return np.asarray(image, np.uint8), turn @ head.rotation, float(np.degrees(angle))


def found(pipeline: HeadPosePipeline, image: Image, camera: Camera) -> Head:
    (head,) = pipeline(image, 0.0, camera).heads
    return head


@pytest.mark.parametrize("name", CAMERAS)
def test_orientations_are_right_in_the_corners(
    portraits: list[Portrait], pipeline: HeadPosePipeline, name: str
) -> None:
    """As right as in the centre, where without the ray they are off by the angle of the ray."""
    camera = CAMERAS[name]
    corrected: dict[tuple[int, int], float] = {}
    for pixel in (CENTRE, *CORNERS):
        errors, uncorrected, rays = [], [], []
        for number, portrait_ in enumerate(portraits):
            image, truth, ray_deg = photograph(portrait_, camera, pixel, 10.0 * (number % 3 - 1))
            head = found(pipeline, image, camera)
            errors.append(geodesic_deg(head.ray_rotation @ head.rotation, truth))
            uncorrected.append(geodesic_deg(head.rotation, truth))
            rays.append(ray_deg)
            distance = np.linalg.norm(head.position)
            assert distance == pytest.approx(DISTANCE_M, rel=0.3)
        corrected[pixel] = float(np.median(errors))
        if pixel in CORNERS:
            assert min(rays) > 35.0
            assert np.median(uncorrected) == pytest.approx(np.median(rays), abs=8.0)
    assert corrected[CENTRE] < 8.0
    for pixel in CORNERS:
        assert corrected[pixel] < corrected[CENTRE] + 7.0


def test_a_still_head_under_camera_noise_stands_still(
    portraits: list[Portrait], pipeline: HeadPosePipeline
) -> None:
    """Detected afresh in each image, at the filter's defaults: less than 0.1 degrees of jitter,
    the standard deviation about an axis, when it has settled for half a second. The faces are
    a hundred pixels wide; larger ones are quieter."""
    raw, filtered = [], []
    for seed, head in enumerate(portraits):
        rng, followed = (
            np.random.default_rng(seed),
            HeadPosePipeline(pipeline.detector, pipeline.model, Tracker()),
        )
        heads = []
        for i in range(40):
            noisy = head.picture + rng.normal(0.0, 2.0, head.picture.shape)
            image = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
            heads += followed(image, i / 30).heads
        assert len({head.face_id for head in heads}) == 1
        settled = heads[15:]
        angles = np.array([head.paper_angles_deg for head in settled])
        raw.append(jitter_deg(matrix_from_angles(angles)))
        filtered.append(jitter_deg(np.array([head.rotation for head in settled])))
    assert max(filtered) < 0.1
    assert np.median(filtered) < np.median(raw) / 2


def test_heads_that_cross_keep_their_ids(portraits: list[Portrait]) -> None:
    """The real detector on two heads, of which one passes before the other."""
    side, reach, count = 144, 336, 40
    front, rear = (cv2.resize(portrait_.picture, (side, side)) for portrait_ in portraits[:2])
    detector, tracker, seen = YuNet(), Tracker(max_gap_s=0.5), []
    for i in range(count):
        image = np.full((160, reach + side, 3), 90, np.uint8)
        step = round(reach * i / (count - 1))
        image[16:, reach - step : reach - step + side] = rear
        image[:side, step : step + side] = front
        faces = detector.detect(as_view(image))
        tracks = tracker.update(i / 30, faces.boxes)
        places = [(x1 + x2 - side) / 2 for x1, _, x2, _ in faces.boxes]
        seen.append({track.face_id: x for track, x in zip(tracks, places, strict=True)})
    assert set(seen[0]) == set(seen[-1])
    assert sum(len(faces) == 1 for faces in seen) >= 5  # one was hidden for a while
    for face_id, start in seen[0].items():
        assert (start < reach / 2) == (seen[-1][face_id] > reach / 2)


def jitter_deg(rotations: FloatArray) -> float:
    """Root mean square about an axis of the turns (N, 3, 3) from the middle one."""
    first = rotations[0]
    turns = np.array([cv2.Rodrigues(rotation @ first.T)[0].ravel() for rotation in rotations])
    return float(np.degrees(np.sqrt(turns.var(axis=0).mean())))
