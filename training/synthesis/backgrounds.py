# SPDX-License-Identifier: Apache-2.0
"""What is behind the head: photos under a free licence, cloth textures, procedural rooms.

Photos are used where they are installed (Debian's package lomiri-wallpapers-16.04); only those
whose licence allows it without share-alike are listed. Without them all is procedural.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Image = NDArray[np.uint8]

PHOTO_FOLDER = Path("/usr/share/backgrounds")
# file: (author, licence), as stated in the package's copyright file.
PHOTOS: dict[str, tuple[str, str]] = {
    "Picture_0B_by_freespace.jpg": ('Trevor "Freespace"', "CC-BY-4.0"),
    "Picture_1A_by_freespace.jpg": ('Trevor "Freespace"', "CC-BY-4.0"),
    "Wine_by_Jakkub_Mede.jpg": ("Jakub Mede", "CC-BY-4.0"),
    "aitzgorri_by_Aitzol_Berasategi.jpg": ("Aitzol Berasategi", "CC-BY-4.0"),
    "friends_by_Aitzol_Berasategi.jpg": ("Aitzol Berasategi", "CC-BY-4.0"),
    "life_by_Aitzol_Berasategi.jpg": ("Aitzol Berasategi", "CC-BY-4.0"),
    "picosdeeuropa_by_Aitzol_Berasategi.jpg": ("Aitzol Berasategi", "CC-BY-4.0"),
    "seeding_by_Clements_Engelhardt.jpg": ("Clemens Engelhardt", "CC0-1.0"),
    "sunset_by_Aitzol_Berasategi.jpg": ("Aitzol Berasategi", "CC-BY-4.0"),
    "umang_by_Abhishek_Mudgal.jpg": ("Abhishek Mudgal", "CC-BY-4.0"),
}
PHOTO_SIDE = 720  # pixels of the shorter side that are kept


class Backgrounds:
    """Draws backgrounds. textures: CC0 image files whose crops serve as cloth and wallpaper."""

    def __init__(self, textures: Sequence[Path], folder: Path = PHOTO_FOLDER) -> None:
        files = [folder / name for name in PHOTOS if (folder / name).is_file()]
        self._photos = [_read(path, PHOTO_SIDE) for path in files]
        self._textures = [_read(path, 512) for path in textures]

    def draw(self, rng: Rng, size: int) -> Image:
        """A background (size,size,3) uint8 RGB."""
        # Out of focus backgrounds are drawn small and enlarged: the same look for less time.
        coarse = int(rng.integers(2, 7)) if rng.random() < 0.5 else 1
        image = self._draw_sharp(rng, size // coarse + 1)
        if coarse > 1:
            image = np.asarray(cv2.GaussianBlur(image, (3, 3), 0.8), np.uint8)
        enlarged = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
        image = np.asarray(enlarged, np.uint8)
        if rng.random() < 0.4:
            gain = rng.uniform(0.3, 1.5) * np.exp(rng.normal(0, 0.1, 3))
            image = np.clip(image * gain, 0, 255).astype(np.uint8)
        return image

    def _draw_sharp(self, rng: Rng, size: int) -> Image:
        kind = rng.random()
        if kind < 0.30 and self._photos:
            return _window(rng, self._photos[rng.integers(len(self._photos))], size, 0.12)
        if kind < 0.38 and self._textures:
            return _window(rng, self._textures[rng.integers(len(self._textures))], size, 0.1)
        if kind < 0.50:
            return _gradient(rng, size)
        return _cloud(rng, size) if kind < 0.62 else _room(rng, size)


def _read(path: Path, side: int) -> Image:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError(f"{path}: expected a readable image, got none")
    scale = side / min(pixels.shape[:2])
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels[..., ::-1])


def _window(rng: Rng, image: Image, size: int, least: float) -> Image:
    side = int(rng.uniform(least, 1.0) * min(image.shape[:2]))
    y = int(rng.integers(0, image.shape[0] - side + 1))
    x = int(rng.integers(0, image.shape[1] - side + 1))
    window = image[y : y + side, x : x + side]
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(window, (size, size), interpolation=method), np.uint8)
    return resized[:, ::-1] if rng.random() < 0.5 else resized


def _gradient(rng: Rng, size: int) -> Image:
    start, end = rng.uniform(0, 255, (2, 3)) if rng.random() < 0.5 else _greyish(rng, 2)
    ramp = np.linspace(0, 1, size)[:, None, None]
    image = np.broadcast_to(start * (1 - ramp) + end * ramp, (size, size, 3))
    return np.rot90(image, int(rng.integers(4))).astype(np.uint8)


def _greyish(rng: Rng, count: int) -> NDArray[np.float64]:
    """Colours of walls and furniture: (count,3), 0..255, mostly pale and brownish."""
    light = rng.uniform(15, 245, (count, 1))
    warm = rng.normal(0, 0.09, (count, 1)) * np.array([1.0, 0.1, -1.0])
    return np.asarray(np.clip(light * (1 + warm + rng.normal(0, 0.06, (count, 3))), 0, 255))


def _cloud(rng: Rng, size: int) -> Image:
    """Coloured noise with the falling spectrum of natural scenes."""
    image = np.zeros((size, size, 3), np.float32)
    cells = 2
    while cells <= 64:
        layer = rng.normal(size=(cells, cells, 3)).astype(np.float32)
        grown = cv2.resize(layer, (size, size), interpolation=cv2.INTER_CUBIC)
        image += grown * cells ** -float(rng.uniform(0.5, 1.1))
        cells *= 2
    grey = image.mean(2, keepdims=True)
    image = grey + (image - grey) * rng.uniform(0.1, 0.8)
    image = (image - image.mean()) / (image.std() + 1e-6)
    levels = rng.uniform(50, 200) + image * rng.uniform(15, 60)
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def _room(rng: Rng, size: int) -> Image:
    """Flat walls, edges, windows, shelves, seats: straight-edged clutter of indoor scenes."""
    colours = _greyish(rng, 16)
    image = np.full((size, size, 3), colours[0], np.float32)
    horizon = int(rng.uniform(0.3, 1.1) * size)
    image[horizon:] = colours[1]
    for k in range(int(rng.integers(2, 14))):
        centre = rng.uniform(0, size, 2)
        extent = rng.uniform(0.04, 0.5, 2) * size
        if rng.random() < 0.3:
            extent[rng.integers(2)] *= 0.12  # poles, lamps, frames, cables
        angle = float(rng.normal(0, 4) if rng.random() < 0.8 else rng.uniform(0, 90))
        corners = cv2.boxPoints((tuple(centre.tolist()), tuple(extent.tolist()), angle))
        colour = colours[2 + k % 14]
        if rng.random() < 0.12:
            colour = rng.uniform(0, 255, 3)
        elif rng.random() < 0.15:
            colour = np.full(3, rng.uniform(225, 255))  # windows and lamps
        if rng.random() < 0.2:
            axes = tuple(int(e / 2) + 1 for e in extent)
            middle = tuple(int(c) for c in centre)
            cv2.ellipse(image, middle, axes, angle, 0, 360, colour.tolist(), -1, cv2.LINE_AA)
        else:
            cv2.fillConvexPoly(image, corners.astype(np.int32), colour.tolist(), cv2.LINE_AA)
        if rng.random() < 0.2:
            edge = _greyish(rng, 1)[0].tolist()
            cv2.polylines(image, [corners.astype(np.int32)], True, edge, 2, cv2.LINE_AA)
    shade = cv2.resize(rng.uniform(0.65, 1.2, (3, 3)).astype(np.float32), (size, size))
    grain = rng.normal(0, rng.uniform(0, 5), (size, size, 1)).astype(np.float32)
    return np.asarray(np.clip(image * shade[..., None] + grain, 0, 255), np.uint8)
