# SPDX-License-Identifier: Apache-2.0
"""From a person and a scene to triangles in the head's own axes.

Axes are the head's: x to the person's left, y up, z out of the face; lengths are decimetres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthesis.accessories import ACCESSORIES, glasses_shapes, mask_shape
from training.synthesis.coverings import make_coverings
from training.synthesis.library import HeadLibrary
from training.synthesis.mesh import Mesh
from training.synthesis.openness import openness
from training.synthesis.person import Person
from training.synthesis.scene import Scene

Floats = NDArray[np.float32]

MEAN_EYE_DISTANCE_DM = 0.578
# Face units that part the lips, so that teeth can show.
OPENING_UNITS = (
    *("jawOpen", "mouthUpperUpLeft", "mouthLowerDownLeft", "mouthSmileLeft", "mouthFunnel"),
    *("mouthStretchLeft", "mouthFrownLeft"),
)


@dataclass(frozen=True)
class Shape:
    """A posed mesh. key names the mesh whose topology it has (see ``HeadBuilder.meshes``);
    positions, normals (n,3) float32 per render vertex, normals not normalised."""

    key: str
    positions: Floats
    normals: Floats


@dataclass(frozen=True)
class Head:
    """shapes by kind; landmarks (68,3); centre (3,): the point the head turns about."""

    shapes: dict[str, Shape]
    landmarks: Floats
    centre: Floats


@dataclass(frozen=True)
class _Anchors:
    """Where things sit on a morphed head: eye centres (3,), and the distance between them."""

    left_eye: Floats
    right_eye: Floats

    @property
    def eyes(self) -> Floats:
        return np.asarray((self.left_eye + self.right_eye) / 2, np.float32)

    @property
    def unit(self) -> float:
        return float(self.left_eye[0] - self.right_eye[0])


class HeadBuilder:
    """Builds heads from a library; keeps the last person's identity, which costs the most."""

    def __init__(self, library: HeadLibrary) -> None:
        self._library = library
        self._identity: tuple[Person, Floats] | None = None
        skin = np.stack(library.body.corners, 1)
        self._coverings = make_coverings(library.base, library.landmarks, skin)
        self.meshes: dict[str, Mesh] = {"body": library.body, **ACCESSORIES}
        self.meshes |= {f"covering/{kind}": c.mesh for kind, c in self._coverings.items()}
        for kind, parts in library.parts.items():
            self.meshes.update({f"{kind}/{part.name}": part.mesh for part in parts})
        base, corners = library.base, np.stack(library.body.corners, 1)
        shade = openness(base, corners)[library.body.vertex_of]
        self.regions = _skin_regions(library)
        hairy = library.hairy[library.body.vertex_of]
        # Scalp below zero where lips are above: the two never meet.
        self.regions[:, 1] -= hairy
        self.regions = np.concatenate([self.regions, shade[:, None]], 1)

    def build(self, person: Person, scene: Scene) -> Head:
        """The person with the scene's expression, gaze and turned torso."""
        if self._identity is None or self._identity[0] is not person:
            self._identity = (person, self._library.morph(person.weights, self._library.base))
        expression = {k: v for k, v in scene.expression.items() if k in self._library.target_names}
        base = self._library.morph(expression, self._identity[1])
        anchors = self._anchors(base)
        scale = anchors.unit / MEAN_EYE_DISTANCE_DM
        pivot = anchors.eyes + np.array([0, -1.75, -1.05], np.float32) * scale
        turn = np.array(scene.torso_rad, np.float32)
        points: dict[str, tuple[str, Floats]] = {"body": ("body", _bend(base, pivot, turn))}
        opened = sum(expression.get(f"face/{unit}", 0.0) for unit in OPENING_UNITS) > 0.12
        for worn in person.worn:
            if worn.kind in ("teeth", "tongue") and not opened:
                continue
            part = self._library.part(worn.kind, worn.part)
            vertices = part.positions(base)
            if worn.kind == "eyes":
                vertices = _look(vertices, scene.gaze_deg)
            else:
                vertices = _bend(vertices, pivot, turn)
            points[worn.kind] = (f"{worn.kind}/{worn.part}", vertices)
        landmarks = base[self._library.landmarks]
        if person.glasses is not None:
            points |= glasses_shapes(person.glasses, anchors.eyes, anchors.unit, landmarks)
        if person.mask_colour is not None:
            points |= mask_shape(landmarks, anchors.unit)
        if person.covering is not None:
            cloth = self._coverings[person.covering].positions(base, landmarks)
            points["covering"] = (f"covering/{person.covering}", _bend(cloth, pivot, turn))
        return Head(
            shapes={kind: self._shape(key, xyz) for kind, (key, xyz) in points.items()},
            landmarks=landmarks,
            centre=anchors.eyes + np.array([0, -0.33, -0.7], np.float32) * scale,
        )

    def _anchors(self, base: Floats) -> _Anchors:
        eyes = self._library.parts["eyes"][0].positions(base)
        left = eyes[:, 0] > 0
        return _Anchors(eyes[left].mean(0), eyes[~left].mean(0))

    def _shape(self, key: str, vertices: Floats) -> Shape:
        mesh = self.meshes[key]
        first, second, third = (np.take(vertices, c, axis=0) for c in mesh.corners)
        a, b = second - first, third - first
        face_normals = np.empty_like(a)
        face_normals[:, 0] = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
        face_normals[:, 1] = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
        face_normals[:, 2] = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        return Shape(
            key, np.take(vertices, mesh.vertex_of, axis=0), mesh.normal_sum @ face_normals
        )


def _look(eyes: Floats, gaze_deg: tuple[float, float]) -> Floats:
    """Turn each eyeball about its own centre."""
    right, up = np.radians(gaze_deg)
    cy, sy, cx, sx = np.cos(right), np.sin(right), np.cos(up), np.sin(up)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array(
        [[1, 0, 0], [0, cx, sx], [0, -sx, cx]]
    )
    turned: Floats = eyes.copy()
    for side in (eyes[:, 0] > 0, eyes[:, 0] <= 0):
        centre = eyes[side].mean(0)
        turned[side] = (eyes[side] - centre) @ turn.T.astype(np.float32) + centre
    return turned


def _bend(vertices: Floats, pivot: Floats, turn: Floats) -> Floats:
    """Rotate what lies below the neck by ``turn`` (rotation vector), with a smooth passage."""
    share = np.clip((pivot[1] + 0.45 - vertices[:, 1]) / 1.1, 0, 1)
    share = share * share * (3 - 2 * share)
    moving = np.flatnonzero(share > 0)
    angle = float(np.linalg.norm(turn))
    if angle < 1e-6 or not len(moving):
        return vertices
    axis = turn / np.float32(angle)
    arm = vertices[moving] - pivot
    theta = (share[moving] * np.float32(angle))[:, None]
    cosine, sine = np.cos(theta), np.sin(theta)
    # Rodrigues' rotation with an angle of its own for every vertex.
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    across = arm @ cross.T.astype(np.float32)
    rotated = arm * cosine + across * sine + axis * (arm @ axis)[:, None] * (1 - cosine)
    bent: Floats = vertices.copy()
    bent[moving] = rotated + pivot
    return bent


def _skin_regions(library: HeadLibrary) -> Floats:
    """Where beard, lips and lids are: (render vertices of the body, 3) weights from 0 to 1."""
    points = library.base[library.body.vertex_of]
    marks = library.base[library.landmarks]
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    corner, chin, nose, ear = marks[54], marks[8], marks[33], marks[15]
    slope = (ear[1] - corner[1]) / (ear[0] - corner[0])
    top = np.where(x < corner[0], nose[1] - 0.03, corner[1] + 0.08 + slope * (x - corner[0]))
    top = np.where(x > ear[0] - 0.08, marks[45][1], top)
    lips = ((x / (corner[0] * 1.02)) ** 2) + ((y - corner[1] + 0.01) / 0.115) ** 2
    in_front = _ramp(z, ear[2] - 0.1, ear[2] + 0.05)
    beard = _ramp(top - y, -0.03, 0.06) * _ramp(y - chin[1], -0.5, -0.2) * in_front
    beard = beard * _ramp(lips, 0.9, 1.3)
    lip = _ramp(-lips, -1.25, -0.85) * _ramp(z, corner[2] - 0.1, corner[2])
    lids = [
        ((x - eye[0]) / 0.24) ** 2 + ((y - eye[1] - 0.03) / 0.13) ** 2
        for eye in [np.abs(marks[36:42]).mean(0) * (1, 0, 1) + marks[36:42].mean(0) * (0, 1, 0)]
    ]
    lid = _ramp(-lids[0], -1.3, -0.3) * _ramp(z, ear[2], corner[2])
    return np.stack([beard, lip, lid], 1).astype(np.float32)


def _ramp(values: Floats, low: float, high: float) -> Floats:
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))
