# SPDX-License-Identifier: Apache-2.0
"""Light of panoramas: harmonics, the key light, the background, and what hollows leave of it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy")

from training.synthesis.harmonics import diffuse, terms, turned, two_tone
from training.synthesis.openness import openness
from training.synthesis.panoramas import Panoramas, make_panorama, read_radiance, sphere
from training.synthesis.scene import sample_scene

if TYPE_CHECKING:
    from training.synthesis.engine import Engine

HEIGHT = 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two panoramas: an even grey one, and a dark one with a sun and a blue sky."""
    even = np.full((HEIGHT, 2 * HEIGHT, 3), 0.5, np.float32)
    sunny = np.full((HEIGHT, 2 * HEIGHT, 3), 0.1, np.float32)
    sunny[: HEIGHT // 2] = (0.2, 0.3, 0.6)
    sunny[8, 16] = 3000.0
    for name, rgb in (("even", even), ("sunny", sunny)):
        cv2.imwrite(str(tmp_path / f"{name}.hdr"), np.ascontiguousarray(rgb[..., ::-1]))
    return tmp_path


def test_a_matt_surface_in_even_light_is_as_bright_as_the_light() -> None:
    directions, solid = sphere(HEIGHT)
    assert solid.sum() == pytest.approx(4 * np.pi, rel=1e-3)
    coefficients = diffuse(directions, np.ones((len(solid), 3)) * solid[:, None])
    np.testing.assert_allclose(terms(directions) @ coefficients, 1.0, atol=5e-3)


def test_a_matt_surface_sees_the_integral_over_its_hemisphere() -> None:
    directions, solid = sphere(HEIGHT)
    light = np.stack([1 + directions[:, 0], 1 + directions[:, 1] ** 2, np.ones(len(solid))], 1)
    coefficients = diffuse(directions, light * solid[:, None])
    normals = np.array([[0.0, 0.0, 1.0], [0.6, 0.8, 0.0], [-1.0, 0.0, 0.0]])
    cosine = np.maximum(normals @ directions.T, 0.0)
    expected = cosine @ (light * solid[:, None]) / np.pi
    np.testing.assert_allclose(terms(normals) @ coefficients, expected, atol=0.02)


def test_turned_light_is_the_same_light_about_other_axes() -> None:
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=(9, 3))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    normals = rng.normal(size=(20, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    there = terms(normals @ rotation.T) @ turned(coefficients, rotation)
    np.testing.assert_allclose(there, terms(normals) @ coefficients, atol=1e-9)


def test_two_tones_are_ground_below_and_sky_above() -> None:
    up = (0.0, 0.6, 0.8)
    coefficients = two_tone((0.1, 0.2, 0.3), (0.9, 0.8, 0.7), up)
    said = terms(np.array([up, [-x for x in up]])) @ coefficients
    np.testing.assert_allclose(said, [[0.9, 0.8, 0.7], [0.1, 0.2, 0.3]])


def test_the_sun_is_the_key_light_and_not_in_the_rest(folder: Path) -> None:
    sunny = make_panorama("sunny", read_radiance(folder / "sunny.hdr"))
    directions, _ = sphere(HEIGHT)
    sun = directions.reshape(HEIGHT, 2 * HEIGHT, 3)[8, 16]
    assert np.dot(sunny.towards, sun) > 0.98
    assert sunny.key.mean() > 3 * np.abs(sunny.ambient[0]).mean()
    even = make_panorama("even", read_radiance(folder / "even.hdr"))
    assert even.key.mean() < 1e-6


def test_scenes_of_panoramas_come_again_from_their_seed(folder: Path) -> None:
    places = Panoramas(folder)
    scenes = [sample_scene(np.random.default_rng(k), places) for k in range(60)]
    again = [sample_scene(np.random.default_rng(k), Panoramas(folder)) for k in range(60)]
    assert scenes == again
    seen = [scene.view for scene in scenes if scene.view is not None]
    assert 20 < len(seen) < 55 and {view.panorama for view in seen} == {0, 1}
    background = places.background(seen[0], 64)
    assert background.shape == (64, 64, 3) and background.dtype == np.uint8
    np.testing.assert_array_equal(background, places.background(seen[0], 64))


def test_the_sky_of_the_background_is_where_its_light_comes_from(folder: Path) -> None:
    places = Panoramas(folder)
    rng = np.random.default_rng(0)
    for _ in range(20):
        lighting, view = places.draw(rng, 1.0)
        rotation = np.array(view.rotation)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        if view.panorama == 1:
            above, below = terms((rotation @ np.array([[0, 1, 0], [0, -1, 0]]).T).T) @ np.array(
                lighting.ambient
            )
            assert above[2] > below[2]


def test_a_folder_without_panoramas_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected panoramas"):
        Panoramas(tmp_path)
    (tmp_path / "broken.hdr").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="twice as wide"):
        Panoramas(tmp_path)


@pytest.mark.parametrize("coded", [False, True])
def test_exr_is_read_plain_and_in_base64(tmp_path: Path, coded: bool) -> None:
    exr = pytest.importorskip("OpenEXR")
    rgb = np.random.default_rng(0).uniform(0, 5, (8, 16, 3)).astype(np.float32)
    file = tmp_path / "place.exr"
    exr.File({"type": exr.scanlineimage}, {"RGB": rgb}).write(str(file))
    if coded:
        text = base64.b64encode(file.read_bytes()).decode()
        file = tmp_path / "place.exr.js"
        file.write_text(f"export default 'data:application/exr;base64,{text}'")
    np.testing.assert_allclose(read_radiance(file), rgb)
    file.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as EXR"):
        read_radiance(file)


def test_a_pit_is_darker_than_the_plain_around_it() -> None:
    side = np.linspace(-3, 3, 61)
    x, z = (a.ravel() for a in np.meshgrid(side, side))
    y = -1.5 * (x * x + z * z < 0.5)
    vertices = np.stack([x, y, z], 1).astype(np.float32)
    first = (np.arange(60)[:, None] * 61 + np.arange(60)).ravel()
    quads = np.stack([first, first + 61, first + 62, first + 1], 1)
    triangles = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3).astype(np.int32)
    share = openness(vertices, triangles)
    assert share[(x * x + z * z < 0.1)].mean() < 0.6
    assert share[(np.abs(x) > 2) & (np.abs(x) < 2.8)].mean() > 0.85


def test_hair_in_strands_follows_the_head_and_stays_off_the_skin(engine: Engine) -> None:
    library = engine.library
    styles = [part for part in library.parts["hair"] if "strands" in part.name]
    if not styles:
        pytest.skip("needs the strands of CharMorph's Vitruvian")
    assert len(styles) >= 12
    skin = np.unique(library.body.vertex_of)
    marks = library.base[library.landmarks]
    for part in styles:
        points = part.positions(library.base)
        assert np.isfinite(points).all()
        assert points[:, 1].max() > library.base[skin, 1].max() - 0.1  # over the crown
        # It grows from above the brows: most of the roots do.
        roots = points.reshape(-1, 14, 3)[:, 0]
        assert (roots[:, 1] > marks[30, 1]).mean() > 0.8
        moved = part.positions(library.base + np.float32(0.5))
        np.testing.assert_allclose(moved, points + 0.5, atol=1e-4)
    assert 0.05 < library.hairy[skin].mean() < 0.9
    face = library.hairy[library.landmarks[27:48]]
    assert face.max() < 0.5  # no hair on eyes and nose
