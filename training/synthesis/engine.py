# SPDX-License-Identifier: Apache-2.0
"""One training image from one number: person, scene, rendering, box and crop in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.crop import crop_faces, square_boxes
from headpose_core.detection import YuNet
from headpose_core.rotation import matrix_from_angles
from training.synthesis.backgrounds import Backgrounds
from training.synthesis.boxes import choose_box, fitted_box, landmark_box
from training.synthesis.geometry import Head, HeadBuilder, Shape
from training.synthesis.library import load_library
from training.synthesis.occluders import SHARE as OCCLUDER_SHARE
from training.synthesis.occluders import add_occluder
from training.synthesis.person import Person, sample_person
from training.synthesis.renderer import Camera, Look, Material, Renderer, SkinDetail
from training.synthesis.scene import FRAME_SIZE, Scene, sample_scene
from training.synthesis.zero_pose import ZERO_POSE

CONTEXT_SIZE = 152
CONTEXT_SCALE = 1.35
VIEWS_PER_PERSON = 4
# From the optical frame (y down, z forward) to the renderer's view axes (y up, z to the viewer).
OPTICAL_TO_VIEW = np.diag([1.0, -1.0, -1.0])
DM_PER_M = 10.0


@dataclass(frozen=True)
class Sample:
    """One image and what is known about it.

    frame (FRAME_SIZE,FRAME_SIZE,3) uint8 RGB; frame_box (4,) face box in the frame;
    context (CONTEXT_SIZE,CONTEXT_SIZE,3) uint8 RGB, the surroundings of the box's square, and
    box (4,) float32, the same box in its pixels; landmarks (68,2) float32 in the frame and
    context_landmarks in the context;
    detected: whether the box is the detector's own.
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
    """Makes samples; image ``index`` depends on (seed, index) and the generator's version only.

    assets: folder of the MakeHuman parts. Raises AssetError when something is missing.
    """

    def __init__(self, assets: Path, seed: int) -> None:
        self.seed = seed
        self._library = load_library(assets)
        self._builder = HeadBuilder(self._library)
        self.renderer = Renderer(self._builder.meshes, self._builder.regions, FRAME_SIZE)
        cloth = {t for part in self._library.parts["clothes"] for t in part.textures}
        self._backgrounds = Backgrounds(sorted(cloth))
        self._detector = YuNet()
        self._last: tuple[int, Person] | None = None

    def sample(self, index: int) -> Sample:
        """Image number ``index``."""
        person = self.person(index // VIEWS_PER_PERSON)
        scene = sample_scene(np.random.default_rng([self.seed, 1, index]))
        return self.render(index, person, scene)

    def person(self, number: int) -> Person:
        """Person number ``number``; the last one is kept."""
        if self._last is None or self._last[0] != number:
            rng = np.random.default_rng([self.seed, 0, number])
            self._last = (number, sample_person(rng, self._library))
        return self._last[1]

    def render(self, index: int, person: Person, scene: Scene) -> Sample:
        """Picture, box and crop of a person in a scene."""
        head = self._builder.build(person, scene)
        camera, points = place_camera(head, scene)
        rgba = self.renderer.render(_dressed(head, person), _skin(person), camera, scene)
        rng = np.random.default_rng(scene.clutter_seed)
        # The lens: softens the stairs that one sample a pixel leaves at edges.
        rgba = cv2.GaussianBlur(rgba, (3, 3), float(rng.uniform(0.45, 0.75)))
        frame = _composite(rgba, self._backgrounds.draw(rng, FRAME_SIZE))
        if rng.random() < OCCLUDER_SHARE:
            middle = landmark_box(points)
            centre = (middle[:2] + middle[2:]) / 2
            frame = add_occluder(
                rng, frame, (centre[0], centre[1]), scene.face_px, _hand_colour(rgba)
            )
        fitted = fitted_box(points, scene.angles_deg)
        box, detected = choose_box(self._detector.detect(frame), fitted)
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


def place_camera(head: Head, scene: Scene) -> tuple[Camera, NDArray[np.float64]]:
    """Put the head before the camera so that its label is exact.

    The centre of the face's projected box lies on the optical axis, so the rotation about the
    viewing ray is the rotation itself; the principal point then moves the picture in the frame.
    Returns the camera and the projected landmarks (68,2) in frame pixels.
    """
    optical = matrix_from_angles(scene.angles_deg)
    rotation = OPTICAL_TO_VIEW @ optical @ OPTICAL_TO_VIEW @ ZERO_POSE
    marks = (head.landmarks - head.centre) @ rotation.T
    distance = scene.distance_m * DM_PER_M
    shift = np.array([0.0, 0.0, -distance])
    for _ in range(3):
        seen = marks + shift
        flat = seen[:, :2] / -seen[:, 2:]
        shift[:2] -= (flat.min(0) + flat.max(0)) / 2 * distance
    seen = marks + shift
    flat = seen[:, :2] / -seen[:, 2:]
    focal = scene.face_px / (flat.max(0) - flat.min(0)).max()
    points = flat * (focal, -focal) + np.array(scene.offset_px) + FRAME_SIZE / 2
    return Camera(rotation, head.centre.astype(float), shift, float(focal), scene.offset_px), points


def cut_context(
    frame: NDArray[np.uint8], box: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], Callable[[NDArray[np.float64]], NDArray[np.float32]]]:
    """The square of ``box`` (4,) with its surroundings (CONTEXT_SCALE times the side, black
    beyond the frame) at CONTEXT_SIZE pixels, and a function that takes points (N,2) of the frame
    to its pixels."""
    square = square_boxes(box[None])[0].astype(np.float64)
    side = square[2] - square[0]
    margin = round(side * (CONTEXT_SCALE - 1) / 2)
    window = (square + (-margin, -margin, margin, margin)).astype(np.int32)
    context = crop_faces(frame, window[None], CONTEXT_SIZE)[0]
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


def _skin(person: Person) -> SkinDetail:
    return SkinDetail(
        detail=person.detail,
        beard=person.beard,
        make_up=person.make_up,
        lip_colour=person.lip_colour,
        hair_colour=person.hair_colour,
    )


def _dressed(head: Head, person: Person) -> list[tuple[Shape, Material]]:
    """Shapes with their materials in drawing order: what covers the skin first
    (so that hidden skin is not shaded), glass last."""
    worn = {w.kind: w.texture for w in person.worn}
    looks = {
        "hair": Material(
            Look.HAIR, worn.get("hair"), person.hair_colour, (0.3, 18), 0.15, 0.85, shadows=True
        ),
        "eyelashes": Material(Look.PLAIN, worn.get("eyelashes"), alpha_cut=0.15),
        "eyebrows": Material(
            Look.HAIR, worn.get("eyebrows"), person.hair_colour, alpha_cut=0.25, opacity=0.55
        ),
        "clothes": Material(
            Look.PLAIN, worn.get("clothes"), person.cloth_colour, (0.08, 10), 0.3, shadows=True
        ),
        "hat": Material(
            Look.PLAIN, worn.get("hat"), person.cloth_colour, (0.08, 10), 0.3, shadows=True
        ),
        "body": Material(Look.SKIN, person.skin, person.skin_tint, person.skin_gloss, shadows=True),
        "teeth": Material(Look.PLAIN, worn.get("teeth"), gloss=(0.3, 20.0)),
        "tongue": Material(Look.PLAIN, worn.get("tongue"), gloss=(0.3, 20.0)),
        "eyes": Material(
            Look.EYE, worn.get("eyes"), person.eye_tint, gloss=(1.2, 80.0), alpha_cut=0.02
        ),
    }
    if person.mask_colour is not None:
        cloth = Material(Look.PLAIN, None, person.mask_colour, (0.05, 8), shadows=True)
        looks |= {"mask": cloth, "straps": cloth}
    if person.glasses is not None:
        glasses = person.glasses
        looks["frame"] = Material(Look.PLAIN, None, glasses.frame_colour, (0.9, 40), shadows=True)
        looks["lenses"] = Material(
            Look.GLASS, None, glasses.lens_colour, (1.5, 60), opacity=glasses.lens_opacity
        )
    return [(head.shapes[kind], look) for kind, look in looks.items() if kind in head.shapes]
