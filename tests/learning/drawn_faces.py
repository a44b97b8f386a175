# SPDX-License-Identifier: Apache-2.0
"""Shards of drawn faces: an ellipse with eyes and a nose whose places tell the pose."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from headpose_core.geometry.rotation import matrix_from_angles
from headpose_core.types import FloatArray, Image

SIZE = 152
# Eyes, nose and mouth on a head of radius 1, in the optical frame of a face that looks at us.
FEATURES = np.array([[-0.4, -0.3, -0.85], [0.4, -0.3, -0.85], [0.0, 0.1, -1.2], [0.0, 0.5, -0.9]])
COLOURS = ((255, 255, 255), (0, 255, 255), (255, 60, 40), (120, 0, 60))


def draw_face(angles_deg: FloatArray, background: int = 60, mirrored: bool = False) -> Image:
    """Picture (152, 152, 3) RGB of a head with that pose; the two eyes differ in colour.

    mirrored: another person, whose eyes have their colours exchanged.
    """
    colours = (COLOURS[1], COLOURS[0], *COLOURS[2:]) if mirrored else COLOURS
    image = np.full((SIZE, SIZE, 3), background, np.uint8)
    _disc(image, np.zeros(2), 52, (200, 160, 130))
    for point, colour in zip(FEATURES @ matrix_from_angles(angles_deg).T, colours, strict=True):
        if point[2] < 0:
            _disc(image, 46 * point[:2], 9, colour)
    return image


def _disc(image: Image, centre: FloatArray, radius: int, colour: tuple[int, int, int]) -> None:
    """A disc about a point relative to the middle of the image, to a sixteenth of a pixel."""
    x, y = np.round(16 * ((SIZE - 1) / 2 + centre)).astype(int)
    cv2.circle(image, (int(x), int(y)), 16 * radius, colour, cv2.FILLED, cv2.LINE_AA, shift=4)


def write_shard(folder: Path, number: int, count: int, first_seed: int = 0) -> Path:
    """A shard as the renderer writes it, with `count` drawn faces."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = np.arange(first_seed, first_seed + count)
    angles, jpegs = [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        angles.append(rng.uniform((-60, -30, -30), (60, 30, 30)))
        picture = draw_face(angles[-1], int(rng.integers(0, 120)))
        quality = (cv2.IMWRITE_JPEG_QUALITY, 95)
        jpegs.append(cv2.imencode(".jpg", picture[..., ::-1], quality)[1].ravel())
    box = np.array([24.0, 20.0, 128.0, 132.0], np.float32)
    path = folder / f"shard-{number:05d}.npz"
    np.savez(
        path,
        jpeg=np.concatenate(jpegs),
        offsets=np.cumsum([0, *map(len, jpegs)]),
        angles_deg=np.array(angles, np.float32),
        box=np.tile(box, (count, 1)),
        detected=np.ones(count, bool),
        seed=seeds,
    )
    return path
