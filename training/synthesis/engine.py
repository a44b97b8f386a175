# SPDX-License-Identifier: Apache-2.0
"""One training image from one number: person, scene, rendering, box and crop in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.faces.yunet import YuNet
from headpose_core.images.crop import crop_faces, square_boxes
from headpose_core.images.image_view import as_view
from training.synthesis.backgrounds import PHOTO_FOLDER, Backgrounds
from training.synthesis.boxes import choose_box, fitted_box, landmark_box
from training.synthesis.camera import place_camera
from training.synthesis.geometry import HeadBuilder
from training.synthesis.library import load_library
from training.synthesis.materials import dressed, skin_detail
from training.synthesis.occluders import SHARE as OCCLUDER_SHARE
from training.synthesis.occluders import add_occluder
from training.synthesis.panoramas import Panoramas, View
from training.synthesis.person import Person, sample_person
from training.synthesis.renderer import Renderer
from training.synthesis.scene import FRAME_SIZE, Scene, sample_scene

CONTEXT_SIZE = 152
CONTEXT_SCALE = 1.35
VIEWS_PER_PERSON = 4


@dataclass(frozen=True)
class Sample:
    """One image and what is known about it.

    frame (frame_size,frame_size,3) uint8 RGB; frame_box (4,) face box in the frame;
    context (CONTEXT_SIZE,CONTEXT_SIZE,3) uint8 RGB, the surroundings of the box's square, and
    box (4,) float32, the same box in its pixels; landmarks (68,2) float32 in the frame and
    context_landmarks in the context; detected: whether the box is the detector's own.
    """

    index: int
    person: Person
    scene: Scene
    frame: NDArray[np.uint8]
    frame_box: NDArray[np.float64]
    context: NDArray[np.uint8]
    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    context_landmarks: NDArray[np.float32]
    detected: bool


class Engine:
    """Makes samples; image ``index`` depends on (seed, index), the generator's version
    and the panoramas and photos alone.

    assets: folder of the MakeHuman parts. frame_size: side of the rendered frames in pixels; other
    than the default it is for pictures. panoramas: folder of light and backgrounds, see
    panoramas.py; photos: of backgrounds, see backgrounds.py.
    Raises AssetError when something is missing.
    """

    def __init__(
        self,
        assets: Path,
        seed: int,
        frame_size: int = FRAME_SIZE,
        panoramas: Path | None = None,
        photos: Path = PHOTO_FOLDER,
    ) -> None:
        self.seed = seed
        self.frame_size = frame_size
        self.library = load_library(assets)
        self.builder = HeadBuilder(self.library)
        self.renderer = Renderer(self.builder.meshes, self.builder.regions, frame_size)
        cloth = {t for part in self.library.parts["clothes"] for t in part.textures}
        self._backgrounds = Backgrounds(sorted(cloth), photos)
        self.panoramas = Panoramas(panoramas) if panoramas else None
        self._detector = YuNet()
        self._last: tuple[int, Person] | None = None

    def sample(self, index: int) -> Sample:
        """Image number ``index``."""
        person = self.person(index // VIEWS_PER_PERSON)
        scene = sample_scene(np.random.default_rng([self.seed, 1, index]), self.panoramas)
        return self.render(index, person, scene)

    def person(self, number: int) -> Person:
        """Person number ``number``; the last one is kept."""
        if self._last is None or self._last[0] != number:
            rng = np.random.default_rng([self.seed, 0, number])
            self._last = (number, sample_person(rng, self.library))
        return self._last[1]

    def render(self, index: int, person: Person, scene: Scene) -> Sample:
        """Picture, box and crop of a person in a scene."""
        head = self.builder.build(person, scene)
        camera, points = place_camera(head, scene, self.frame_size)
        rgba = self.renderer.render(
            dressed(head, person), skin_detail(person), camera, scene.lighting
        )
        rng = np.random.default_rng(scene.clutter_seed)
        # The lens: softens the stairs that one sample a pixel leaves at edges.
        blur = float(rng.uniform(0.45, 0.75))
        rgba = np.asarray(cv2.GaussianBlur(rgba, (3, 3), blur), np.uint8)
        frame = _composite(rgba, self.background(rng, scene.view))
        if rng.random() < OCCLUDER_SHARE:
            middle = landmark_box(points)
            centre = (middle[:2] + middle[2:]) / 2
            face_px = scene.face_share * self.frame_size
            colour = _hand_colour(rgba)
            frame = add_occluder(rng, frame, (centre[0], centre[1]), face_px, colour)
        fitted = fitted_box(points, scene.angles_deg)
        box, detected = choose_box(self._detector.detect(as_view(frame)), fitted)
        context, to_context = cut_context(frame, box)
        return Sample(
            index=index,
            person=person,
            scene=scene,
            frame=frame,
            frame_box=box,
            context=context,
            box=to_context(box.reshape(2, 2)).ravel(),
            landmarks=points.astype(np.float32),
            context_landmarks=to_context(points),
            detected=detected,
        )

    def background(self, rng: np.random.Generator, view: View | None) -> NDArray[np.uint8]:
        """What is behind the head: the place that lights it, or another picture."""
        if view is None or self.panoramas is None:
            return self._backgrounds.draw(rng, self.frame_size)
        return self.panoramas.background(view, self.frame_size)


def cut_context(
    frame: NDArray[np.uint8], box: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], Callable[[NDArray[np.float64]], NDArray[np.float32]]]:
    """The square of ``box`` (4,) with its surroundings (CONTEXT_SCALE times the side, black
    beyond the frame) at CONTEXT_SIZE pixels, and a function that takes points (N,2) of the frame
    to its pixels."""
    square = square_boxes(box[None])[0].astype(np.float64)
    side = square[2] - square[0]
    margin = round(side * (CONTEXT_SCALE - 1) / 2)
    window = (square + np.array([-margin, -margin, margin, margin])).astype(np.int32)
    context = crop_faces(as_view(frame), window[None], CONTEXT_SIZE)[0]
    scale = CONTEXT_SIZE / (window[2] - window[0])
    origin = window[:2]
    return context, lambda points: ((points - origin) * scale).astype(np.float32)


def _composite(rgba: NDArray[np.uint8], background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The head over the background. Colours at half-covered edge pixels are already scaled by
    their coverage (they were averaged with the empty, black background), so they are added."""
    rest = 255 - rgba[..., 3:].astype(np.uint16)
    behind = (background.astype(np.uint16) * rest + 127) // 255
    return np.minimum(rgba[..., :3] + behind, 255).astype(np.uint8)


def _hand_colour(rgba: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A skin-like colour under the picture's light: the median of the drawn pixels."""
    drawn = rgba[rgba[..., 3] > 200][:, :3]
    return np.median(drawn, 0) if len(drawn) else np.full(3, 128.0)
