# SPDX-License-Identifier: Apache-2.0
"""How the picture is taken: pose, lens, expression, light, drawn anew for every image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synthesis.expression import sample_expression
from training.synthesis.lighting import Lighting, sample_exposure, sample_lighting
from training.synthesis.panoramas import Panoramas, View
from training.synthesis.poses import paper_angles, sample_pose

Rng = np.random.Generator

FRAME_SIZE = 192  # pixels; a multiple of 32, the detector's largest stride
PLACE_SHARE = 0.6  # of the images whose light and background are of a panorama, where there is one
FACE_SHARE = (0.46, 0.57)  # long side of the face box over the frame's side


@dataclass(frozen=True)
class Scene:
    """Everything about one view.

    angles_deg: yaw, pitch, roll of the head about the viewing ray, the paper's convention.
    distance_m: camera to head. face_share, offset_share: long side of the face box, and its
    centre from the frame's (x right, y down), in sides of the frame. torso_rad: rotation vector
    of the torso against the head.
    gaze_deg: right and up turn of the eyes against the head. expression: face unit weights.
    clutter_seed: seed of background and occluders. view: of the panorama behind the head.
    """

    angles_deg: tuple[float, float, float]
    distance_m: float
    face_share: float
    offset_share: tuple[float, float]
    torso_rad: tuple[float, float, float]
    gaze_deg: tuple[float, float]
    expression: dict[str, float]
    lighting: Lighting
    clutter_seed: int
    view: View | None = None


def sample_scene(rng: Rng, panoramas: Panoramas | None = None) -> Scene:
    """Draw a view; the same generator state, with the same panoramas, gives the same view."""
    pose = sample_pose(rng)
    yaw, pitch, roll = paper_angles(pose)
    lighting, view = sample_lighting(rng), None
    if panoramas is not None and rng.random() < PLACE_SHARE:
        lighting, view = panoramas.draw(rng, sample_exposure(rng))
    share = rng.uniform(*FACE_SHARE)
    cut = rng.random() < 0.04  # a face that the frame's border cuts
    reach = rng.uniform(0.30, 0.62) if cut else rng.uniform(0, 0.5 - 0.75 * share)
    offset = rng.normal(size=2)
    offset *= reach / np.abs(offset).max()
    return Scene(
        angles_deg=(float(yaw), float(pitch), float(roll)),
        distance_m=_sample_distance(rng),
        face_share=float(share),
        offset_share=(float(offset[0]), float(offset[1])),
        torso_rad=_sample_torso(rng, pose),
        gaze_deg=(float(rng.normal(0, 13)), float(rng.normal(0, 8))),
        expression=sample_expression(rng),
        lighting=lighting,
        clutter_seed=int(rng.integers(2**62)),
        view=view,
    )


def _sample_distance(rng: Rng) -> float:
    """0.3 to 4 m, log-uniform, with most of it between 0.5 and 2.5 m."""
    near, far = (0.5, 2.5) if rng.random() < 0.7 else (0.3, 4.0)
    return float(np.exp(rng.uniform(np.log(near), np.log(far))))


def _sample_torso(rng: Rng, pose: tuple[float, float, float]) -> tuple[float, float, float]:
    """The torso lags behind the head: part of the head's turn is taken back below the neck."""
    yaw, pitch, roll = np.radians(pose)
    turn = np.array(
        [
            pitch * rng.uniform(0, 0.6) + rng.normal(0, 0.15),
            yaw * rng.uniform(0, 0.7) + rng.normal(0, 0.25),
            roll * rng.uniform(0, 0.7) + rng.normal(0, 0.1),
        ]
    )
    turn = np.clip(turn, -0.9, 0.9)
    return float(turn[0]), float(turn[1]), float(turn[2])
