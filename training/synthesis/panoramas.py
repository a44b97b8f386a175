# SPDX-License-Identifier: Apache-2.0
"""Photos of all that is around a place, under a free licence: light and background in one.

A folder holds them in equirectangular projection as .hdr, .exr, or .exr.js files, which are .exr
in base64 (SOURCES.md says where CC0 ones are found). Without such a folder all light comes from
lamps and a plain sky.
"""

from __future__ import annotations

import base64
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthesis.harmonics import diffuse, terms, turned
from training.synthesis.lighting import Light, Lighting, triple, unit

Rng = np.random.Generator
Floats = NDArray[np.float64]

ENDINGS = (".hdr", ".exr", ".exr.js")
HEIGHT = 512  # pixels that are kept of a background
LIGHT_HEIGHT = 64  # pixels from which light is added up
KEY_RADIUS_DEG = 14.0  # around the brightest spot
BRIGHTEST = 64.0  # times the mean, of a background
FIELD_DEG = (20.0, 85.0)  # of view of backgrounds, wider than most lenses': sharp enough


@dataclass(frozen=True)
class View:
    """How a panorama is looked at: its number, the rotation (3x3) from its axes (y up) to view
    axes, the factor (3,) of its linear light, and the field of view in degrees."""

    panorama: int
    rotation: tuple[tuple[float, ...], ...]
    gain: tuple[float, float, float]
    field_deg: float


@dataclass(frozen=True)
class Panorama:
    """pixels (H,2H,3) uint16: square root of the radiance over its mean, scaled; ambient (9,3):
    light without the key (harmonics.diffuse); key (3,): what the brightest spot adds to a surface
    that faces it, from ``towards`` (3,)."""

    name: str
    pixels: NDArray[np.uint16]
    ambient: Floats
    key: Floats
    towards: Floats


class Panoramas:
    """All panoramas of a folder, by name. Raises ValueError when it has none, or broken ones."""

    def __init__(self, folder: Path) -> None:
        files = sorted(p for p in folder.iterdir() if p.name.endswith(ENDINGS))
        if not files:
            raise ValueError(f"{folder}: expected panoramas ({', '.join(ENDINGS)}), found none")
        self.hashes = {p.name: hashlib.sha256(p.read_bytes()).hexdigest()[:16] for p in files}
        self._all = [make_panorama(path.name, read_radiance(path)) for path in files]

    def __len__(self) -> int:
        return len(self._all)

    def draw(self, rng: Rng, exposure: float) -> tuple[Lighting, View]:
        """A place, the way the camera looks there, and its light. exposure: 1 is right."""
        number = int(rng.integers(len(self._all)))
        place = self._all[number]
        options = [_camera_rotation(rng) for _ in range(2)]
        if rng.random() < 0.5:  # photographers look for light on the face
            options.sort(key=lambda turn: -_front(place, turn).mean())
        rotation = options[0]
        face = _front(place, rotation)
        # The camera meters the face, or all of the picture, or something between.
        metered = float(face.mean() ** rng.uniform(0.3, 1.0))
        white = (face / face.mean()) ** -rng.uniform(0.3, 1.0)
        gain = exposure / max(metered, 1e-3) * white
        towards = rotation @ place.towards
        ambient = turned(place.ambient, rotation) * gain
        strong = place.key.mean() > 0.03
        lights = (Light(triple(towards), triple(place.key * gain)),) if strong else ()
        sky = triple(np.maximum(ambient[0] + ambient[2], 0.0))
        lighting = Lighting(
            lights=lights,
            shadow=float(rng.uniform(0.7, 1.0)) if strong else 0.0,
            ground=triple(np.maximum(ambient[0] - ambient[2], 0.0)),
            sky=sky,
            up=(0.0, 1.0, 0.0),
            ambient=tuple(map(triple, ambient)),
        )
        rows = tuple(tuple(row) for row in rotation.tolist())
        return lighting, View(number, rows, triple(gain), float(rng.uniform(*FIELD_DEG)))

    def background(self, view: View, size: int) -> NDArray[np.uint8]:
        """What is seen there (size,size,3) uint8 RGB."""
        pixels = self._all[view.panorama].pixels
        height, width = pixels.shape[:2]
        x, y = (np.mgrid[:size, :size][::-1].astype(np.float32) + 0.5) / size * 2 - 1
        reach = np.float32(np.tan(np.radians(view.field_deg / 2)))
        rays = np.stack([x * reach, -y * reach, np.full_like(x, -1.0)], -1)
        rays = rays @ np.array(view.rotation, np.float32)
        phi = np.arctan2(rays[..., 0], rays[..., 2]) / np.float32(2 * np.pi) % np.float32(1.0)
        theta = np.arccos(rays[..., 1] / np.linalg.norm(rays, axis=-1)) / np.float32(np.pi)
        columns, rows = phi * width - 0.5, theta * height - 0.5
        seen = cv2.remap(pixels, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        scale = np.sqrt(np.array(view.gain) * BRIGHTEST) * (255 / 65535)
        return np.clip(seen * scale, 0, 255).astype(np.uint8)


def read_radiance(path: Path) -> NDArray[np.float32]:
    """Linear RGB (H,2H,3) of a file. Raises ValueError for an unreadable one."""
    if path.suffix != ".hdr":
        rgb = _read_exr(path)
    else:
        read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        rgb = np.zeros(0, np.float32) if read is None else np.asarray(read, np.float32)[..., ::-1]
    if rgb.ndim != 3 or rgb.shape[1] != 2 * rgb.shape[0]:
        raise ValueError(f"{path}: expected an image twice as wide as high, got another or none")
    return np.nan_to_num(np.asarray(rgb[..., :3], np.float32), posinf=6e4).clip(0.0)


def _read_exr(path: Path) -> NDArray[np.float32]:
    try:
        import OpenEXR  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ValueError(f"{path}: needs a reader of EXR: pip install OpenEXR") from error
    with tempfile.TemporaryDirectory() as folder:
        file = path
        if path.suffix == ".js":
            _, _, coded = path.read_text().partition("base64,")
            file = Path(folder) / "panorama.exr"
            file.write_bytes(base64.b64decode(coded.partition("'")[0]))
        try:
            return np.asarray(OpenEXR.File(str(file)).channels()["RGB"].pixels, np.float32)
        except (RuntimeError, KeyError, ValueError) as error:
            raise ValueError(f"{path}: cannot be read as EXR with RGB ({error})") from error


def make_panorama(name: str, radiance: NDArray[np.float32]) -> Panorama:
    """Background, ambient light and key light of radiance (H,2H,3)."""
    coarse = cv2.resize(radiance, (2 * LIGHT_HEIGHT, LIGHT_HEIGHT), interpolation=cv2.INTER_AREA)
    directions, solid = sphere(LIGHT_HEIGHT)
    light = coarse.reshape(-1, 3).astype(np.float64)
    mean = float((light.mean(1) * solid).sum() / solid.sum())
    light, radiance = light / mean, radiance / np.float32(mean)
    peak = directions[int(light.mean(1).argmax())]
    near = directions @ peak > np.cos(np.radians(KEY_RADIUS_DEG))
    over = np.where(near[:, None], np.maximum(light - 2.0, 0.0), 0.0) * solid[:, None]
    arrived = over.sum(1)
    towards = unit(arrived @ directions if arrived.sum() > 0 else peak)
    rest = np.minimum(light, 30.0) * solid[:, None]
    rest = np.where(near[:, None], np.minimum(light, 2.0) * solid[:, None], rest)
    wide = (2 * HEIGHT, HEIGHT)
    if radiance.shape[0] > HEIGHT:
        radiance = np.asarray(cv2.resize(radiance, wide, interpolation=cv2.INTER_AREA), np.float32)
    pixels = np.sqrt(np.minimum(radiance / BRIGHTEST, 1.0)) * 65535
    return Panorama(
        name=name,
        pixels=pixels.astype(np.uint16),
        ambient=diffuse(directions, rest),
        key=over.sum(0) / np.pi,
        towards=np.array(towards),
    )


def sphere(height: int) -> tuple[Floats, Floats]:
    """Directions (N,3), y up, and solid angles (N,) of the pixels of a panorama of that height."""
    theta = np.pi * (np.arange(height) + 0.5) / height
    phi = np.pi * (np.arange(2 * height) + 0.5) / height
    t, p = (a.ravel() for a in np.meshgrid(theta, phi, indexing="ij"))
    directions = np.stack([np.sin(t) * np.sin(p), np.cos(t), np.sin(t) * np.cos(p)], 1)
    return directions, np.sin(t) * (np.pi / height) ** 2


def _camera_rotation(rng: Rng) -> Floats:
    """From a panorama's axes to view axes: any way around, a little up or down, a little askew."""
    around, up, askew = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.2), rng.normal(0, 0.1)
    c, s = np.cos([around, up, askew]), np.sin([around, up, askew])
    about_y = np.array([[c[0], 0, s[0]], [0, 1, 0], [-s[0], 0, c[0]]])
    about_x = np.array([[1, 0, 0], [0, c[1], -s[1]], [0, s[1], c[1]]])
    about_z = np.array([[c[2], -s[2], 0], [s[2], c[2], 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y, np.float64)


# Normals of a face that looks into the camera.
_FACING = np.array([[0, 0, 1], [0.7, 0, 0.7], [-0.7, 0, 0.7], [0, 0.5, 0.85], [0, -0.5, 0.85]])


def _front(place: Panorama, rotation: Floats) -> Floats:
    """Colour (3,) of a white face in that light, at least a little."""
    ambient = np.maximum(terms(_FACING) @ turned(place.ambient, rotation), 0.0).mean(0)
    key = np.maximum(_FACING @ (rotation @ place.towards), 0.0).mean() * place.key
    return np.asarray(np.maximum(ambient + key, 0.02), np.float64)
