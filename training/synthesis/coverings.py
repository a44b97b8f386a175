# SPDX-License-Identifier: Apache-2.0
"""Head scarves, caps of wool and hoods: cloth that follows the head, made from its own skin.

A covering is a part of the skin, lifted off it: every vertex goes to where the farthest skin
around it is, seen from the axis of the head, so that ears and hairline disappear beneath it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from training.synthesis.mesh import Mesh, make_mesh

Floats = NDArray[np.float32]

KINDS = ("scarf", "cap", "hood")
# Of each kind: how far the cloth lies off the skin (dm), and over how wide a neighbourhood, in
# radians about the axis, it is stretched.
LIFT_DM = {"scarf": 0.07, "cap": 0.12, "hood": 0.30}
STRETCH = {"scarf": 0.22, "cap": 0.22, "hood": 0.35}


@dataclass(frozen=True)
class Covering:
    """One kind of covering. skin (n,): the vertices of the head that it follows; mesh: its
    triangles over them; around: which of them lie around each (n,n), with weights."""

    skin: NDArray[np.int32]
    mesh: Mesh
    around: sparse.csr_matrix
    lift: float

    def positions(self, head: Floats, landmarks: Floats) -> Floats:
        """Vertices (n,3) of the cloth over a head (B,3) with its landmarks (68,3), in dm."""
        foot = _axis(head[self.skin], landmarks)
        arm = head[self.skin] - foot
        reach = np.linalg.norm(arm, axis=1)
        farthest = np.maximum.reduceat(reach[self.around.indices], self.around.indptr[:-1])
        smooth = self.around @ farthest + self.lift
        return np.asarray(foot + arm / reach[:, None] * smooth[:, None], np.float32)


def make_coverings(
    base: Floats, landmarks: NDArray[np.int32], triangles: NDArray[np.int32]
) -> dict[str, Covering]:
    """All kinds over the unmorphed head: base (B,3), landmarks (68,), triangles (t,3) of skin."""
    marks = base[landmarks]
    used = np.unique(triangles)
    return {
        kind: _covering(
            base, marks, triangles[covered[triangles].all(1)], LIFT_DM[kind], STRETCH[kind]
        )
        for kind in KINDS
        for covered in [_covered(kind, base, marks, used)]
    }


def _covered(kind: str, base: Floats, marks: Floats, used: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which vertices (B,) of the head a kind covers."""
    x, y, z = base.T
    brow, chin, ear = marks[17:27, 1].max(), marks[8, 1], marks[[0, 16]].mean(0)
    skin = np.zeros(len(base), bool)
    skin[used] = True
    height = brow - chin
    if kind == "cap":
        top = y > brow + 0.04 * height + 0.25 * np.minimum(z - ear[2] - 0.4, 0)
        return np.asarray(skin & top)
    # The opening for the face: an ellipse from the hairline to the chin, or well below it.
    half = (0.62 if kind == "scarf" else 0.76) * height
    middle = (brow + chin) / 2 + 0.1 * height
    side = marks[16, 0] * 0.9
    opening = ((x / side) ** 2 + ((y - middle) / half) ** 2 < 1) & (z > ear[2] - 0.1)
    floor = chin - (1.6 if kind == "scarf" else 0.9)
    return np.asarray(skin & ~opening & (y > floor) & (np.abs(x) < 2.2 * marks[16, 0]))


def _axis(points: Floats, landmarks: Floats) -> Floats:
    """The point (n,3) of the head's axis that each point (n,3) hangs on: the middle of the skull
    for all that is higher, straight below it for the rest."""
    ears, brow = landmarks[[0, 16]].mean(0), landmarks[17:27, 1].max()
    middle = np.array([ears[0], brow, ears[2] - 0.2], np.float32)
    foot = np.tile(middle, (len(points), 1))
    foot[:, 1] = np.minimum(points[:, 1], middle[1])
    return foot


def _covering(
    base: Floats, marks: Floats, triangles: NDArray[np.int32], lift: float, stretch: float
) -> Covering:
    skin, corners = np.unique(triangles, return_inverse=True)
    points = base[skin]
    foot = _axis(points, marks)
    arm = points - foot
    # Seen from the axis an ear lies on the side of the head that is beneath it.
    shadow = arm / np.linalg.norm(arm, axis=1, keepdims=True) + foot * (0, 1, 0)
    neighbours = cKDTree(shadow).query_ball_point(shadow, stretch)
    counts = [len(found) for found in neighbours]
    indices = np.concatenate([np.array(found) for found in neighbours])
    distance = np.linalg.norm(shadow[indices] - np.repeat(shadow, counts, axis=0), axis=1)
    weights = np.exp(-0.5 * (distance / (stretch / 2)) ** 2)
    weights /= np.repeat(np.add.reduceat(weights, np.cumsum([0, *counts[:-1]])), counts)
    starts = np.cumsum([0, *counts])
    around = sparse.csr_matrix((weights.astype(np.float32), indices, starts))
    corners = corners.reshape(-1, 3).astype(np.int32)
    uv = np.stack([np.arctan2(arm[:, 0], arm[:, 2]) / np.pi * 2, points[:, 1]], 1)
    mesh = make_mesh(np.arange(len(skin), dtype=np.int32), uv, corners)
    return Covering(skin.astype(np.int32), mesh, around, lift)
