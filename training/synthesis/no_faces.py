# SPDX-License-Identifier: Apache-2.0
"""What is no face: crops on which a network should say that it does not know.

Backs of heads, empty places, and decoys: rings, pairs of dots, hands, cloth. Where the detector
errs at a low threshold its box is taken, elsewhere any box. The labels are NaN.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_view import as_view
from training.synthesis.engine import VIEWS_PER_PERSON, Engine, cut_context
from training.synthesis.occluders import add_occluder
from training.synthesis.scene import sample_scene

Rng = np.random.Generator
Image = NDArray[np.uint8]

BACKS_SHARE, PLACES_SHARE = 0.35, 0.3  # the rest are decoys
LEAST_SCORE = 0.15  # of the detector, from which on it errs
LEAST_TURN_DEG = 140.0


class NoFaces:
    """Makes samples; image ``index`` depends on the engine's seed and on ``index`` only."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._detector = YuNet(score_threshold=LEAST_SCORE)

    def row(self, index: int) -> dict[str, Any]:
        """The columns of a shard (shards.py) for image ``index``, its picture uncompressed."""
        rng = np.random.default_rng([self._engine.seed, 2, index])
        kind = rng.random()
        if kind < BACKS_SHARE:
            frame = self._back(rng, index)
        else:
            frame = self._place(rng)
            if kind > BACKS_SHARE + PLACES_SHARE:
                frame = decoy(rng, frame)
        box, detected = self._box(rng, frame)
        context, to_context = cut_context(frame, box)
        return {
            "context": context,
            "angles_deg": np.full(3, np.nan, np.float32),
            "box": to_context(box.reshape(2, 2)).ravel(),
            "detected": detected,
            "seed": np.int64(index),
            "group": np.int64(index),
            "landmarks": np.zeros((68, 2), np.float32),
        }

    def _back(self, rng: Rng, index: int) -> Image:
        """A head from behind."""
        scene = sample_scene(rng, self._engine.panoramas)
        turn = rng.choice((-1.0, 1.0)) * rng.uniform(LEAST_TURN_DEG, 180.0)
        angles = (float(turn), float(rng.normal(0, 12)), float(rng.normal(0, 12)))
        person = self._engine.person(index // VIEWS_PER_PERSON)
        return self._engine.render(index, person, replace(scene, angles_deg=angles)).frame

    def _place(self, rng: Rng) -> Image:
        """Nobody there."""
        return self._engine.background(rng, sample_scene(rng, self._engine.panoramas).view)

    def _box(self, rng: Rng, frame: Image) -> tuple[NDArray[np.float64], bool]:
        """A box (4,) of the detector's, if it errs here, or any."""
        boxes = self._detector.detect(as_view(frame)).boxes
        if len(boxes):
            return boxes[rng.integers(len(boxes))].astype(np.float64), True
        size = len(frame)
        half = rng.uniform(0.15, 0.35, 2) * size
        centre = rng.uniform(0.35, 0.65, 2) * size
        return np.concatenate([centre - half, centre + half]), False


def decoy(rng: Rng, frame: Image) -> Image:
    """Something in the middle of a frame (S,S,3) that is round, or has two dots, or is skin."""
    size, drawn = len(frame), frame.copy()
    x, y = (int(v) for v in rng.uniform(0.4, 0.6, 2) * size)
    centre = (x, y)
    radius = rng.uniform(0.15, 0.35) * size
    colour = (rng.uniform(0, 255, 3) * rng.uniform(0.1, 1.0)).tolist()
    axes = (int(radius), int(radius * rng.uniform(0.7, 1.3)))
    turn, kind = float(rng.uniform(0, 180)), rng.random()
    if kind < 0.35:  # steering wheels, plates, clocks
        width = int(rng.integers(2, 14))
        cv2.ellipse(drawn, centre, axes, turn, 0, 360, colour, width, cv2.LINE_AA)
        for spoke in rng.uniform(0, 2 * np.pi, int(rng.integers(0, 5))):
            end = np.array(centre) + radius * np.array([np.cos(spoke), np.sin(spoke)])
            cv2.line(drawn, centre, tuple(end.astype(int).tolist()), colour, width, cv2.LINE_AA)
        return np.asarray(drawn, np.uint8)
    if kind < 0.7:  # balls, sockets, bags: a shape with dots and a line
        cv2.ellipse(drawn, centre, axes, turn, 0, 360, colour, cv2.FILLED, cv2.LINE_AA)
        dark = (np.array(colour) * rng.uniform(0.0, 0.6)).tolist()
        for _ in range(int(rng.integers(0, 4))):
            at = np.array(centre) + rng.normal(0, 0.35, 2) * radius
            dot = tuple(at.astype(int).tolist())
            cv2.circle(drawn, dot, int(radius * rng.uniform(0.05, 0.2)), dark, -1, cv2.LINE_AA)
        return np.asarray(drawn, np.uint8)
    skin = np.array([200.0, 150.0, 120.0]) * rng.uniform(0.2, 1.1) * np.exp(rng.normal(0, 0.1, 3))
    for _ in range(int(rng.integers(1, 4))):
        drawn = add_occluder(rng, drawn, centre, 2.5 * radius, skin)
    return np.asarray(drawn, np.uint8)
