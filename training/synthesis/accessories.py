# SPDX-License-Identifier: Apache-2.0
"""Procedural glasses and medical masks, fitted to a head's landmarks.

Topology is constant (``ACCESSORIES``), only positions depend on the person.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthesis.mesh import Mesh, make_mesh
from training.synthesis.wardrobe import Glasses

Floats = NDArray[np.float32]

RIM_STEPS, TUBE_STEPS = 28, 5
MASK_ROWS, MASK_COLUMNS = 9, 17


def _grid_mesh(
    rows: int, columns: int, *, wrap_rows: bool = False, wrap_columns: bool = False
) -> Mesh:
    """A grid of quads, row-major; wrapping joins the last row or column to the first."""
    index = np.arange(rows * columns).reshape(rows, columns)
    if wrap_rows:
        index = np.concatenate([index, index[:1]])
    if wrap_columns:
        index = np.concatenate([index, index[:, :1]], axis=1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    triangles = np.stack([a, b, c, a, c, d], -1).reshape(-1, 3)
    v, u = np.divmod(np.arange(rows * columns), columns)
    uv = np.stack([u / max(columns - 1, 1), v / max(rows - 1, 1)], 1)
    return _mesh(rows * columns, triangles, uv)


def _mesh(count: int, triangles: NDArray[np.int64], uv: NDArray[np.float64]) -> Mesh:
    return make_mesh(np.arange(count, dtype=np.int32), uv, triangles)


def _join(meshes: list[Mesh]) -> Mesh:
    starts = np.cumsum([0] + [len(m.uv) for m in meshes])
    triangles = np.concatenate([m.triangles + s for m, s in zip(meshes, starts, strict=False)])
    return _mesh(int(starts[-1]), triangles, np.concatenate([m.uv for m in meshes]))


_RING = _grid_mesh(RIM_STEPS, TUBE_STEPS, wrap_rows=True, wrap_columns=True)
_BRIDGE = _grid_mesh(6, TUBE_STEPS, wrap_columns=True)
_TEMPLE = _grid_mesh(5, TUBE_STEPS, wrap_columns=True)
_LENS = _mesh(
    RIM_STEPS + 1,
    np.array([[RIM_STEPS, k, (k + 1) % RIM_STEPS] for k in range(RIM_STEPS)]),
    np.zeros((RIM_STEPS + 1, 2)),
)
ACCESSORIES: dict[str, Mesh] = {
    "glasses/frame": _join([_RING, _RING, _BRIDGE, _TEMPLE, _TEMPLE]),
    "glasses/lenses": _join([_LENS, _LENS]),
    "mask": _grid_mesh(MASK_ROWS, MASK_COLUMNS),
    "mask/straps": _join([_TEMPLE] * 4),
}


def glasses_shapes(
    glasses: Glasses, eyes: Floats, unit: float, landmarks: Floats
) -> dict[str, tuple[str, Floats]]:
    """Frame and lenses in front of the eyes. eyes (3,): the point between them; unit: their
    distance in dm; landmarks (68,3). Returns kind -> (mesh key, vertices)."""
    front = max(landmarks[[19, 24], 2].max(), landmarks[27, 2], eyes[2] + 0.3 * unit) + 0.05 * unit
    y = eyes[1] - glasses.slide * unit
    angle = np.linspace(0, 2 * np.pi, RIM_STEPS, endpoint=False)
    power = 2 / glasses.exponent
    outline = np.stack(
        [
            np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power * glasses.half_width,
            np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power * glasses.half_height,
        ],
        1,
    )
    tube = glasses.tube * unit
    half_gap = max(0.52, glasses.half_width + 0.09)
    rims, lenses, temples = [], [], []
    for side, ear in ((1, landmarks[16]), (-1, landmarks[0])):
        rim = np.empty((RIM_STEPS, 3))
        rim[:, 0] = side * (half_gap + outline[:, 0]) * unit
        rim[:, 1] = y + outline[:, 1] * unit
        # Frames wrap round the face: the outer rim sits further back.
        rim[:, 2] = front - 0.10 * unit * (rim[:, 0] / unit) ** 2
        rims.append(_tube(rim, tube, closed=True))
        lenses.append(
            np.concatenate([rim, rim.mean(0, keepdims=True) + np.array([0, 0, 0.03 * unit])])
        )
        hinge = np.array([side * (half_gap + glasses.half_width) * unit, y + 0.1 * unit, 0])
        hinge[2] = front - 0.10 * unit * (hinge[0] / unit) ** 2
        end = np.array([ear[0] + side * 0.06, ear[1] + 0.12, ear[2] - 0.15])
        steps = np.linspace(0, 1, 5)[:, None]
        temples.append(_tube(hinge + (end - hinge) * steps, max(tube, 0.015 * unit)))
    inner = half_gap - glasses.half_width
    arc = np.linspace(-1, 1, 6)
    bridge = np.stack(
        [arc * inner * unit, y + 0.12 * unit * (1 - 0.5 * arc**2), 0 * arc + front], 1
    )
    frame = np.concatenate([*rims, _tube(bridge, tube), *temples]).astype(np.float32)
    return {
        "frame": ("glasses/frame", frame),
        "lenses": ("glasses/lenses", np.concatenate(lenses).astype(np.float32)),
    }


def mask_shape(landmarks: Floats, unit: float) -> dict[str, tuple[str, Floats]]:
    """A medical mask from the nose to below the chin. Returns kind -> (mesh key, vertices)."""
    nose, chin, left, right = landmarks[28], landmarks[8], landmarks[13], landmarks[3]
    tip = landmarks[30]
    s = np.linspace(-1, 1, MASK_COLUMNS)[None, :]
    t = np.linspace(0, 1, MASK_ROWS)[:, None]
    half_width = (left[0] - right[0]) / 2 * 0.94
    wide = half_width * (0.78 + 0.22 * np.sin(np.pi * (0.15 + 0.75 * t)))
    x = np.sin(s * np.pi / 2 * 0.9) / np.sin(np.pi / 2 * 0.9) * wide
    y = nose[1] + (chin[1] - 0.18 * unit - nose[1]) * t - 0.22 * unit * s**2 * (1 - t)
    y = y + 0.10 * unit * s**2 * t
    # Depth: over the nose tip in the middle, back to the jaw at the sides and under the chin.
    middle = np.interp(
        t[:, 0],
        [0, 0.3, 0.62, 0.9, 1],
        [nose[2] + 0.05, tip[2] + 0.04, landmarks[62, 2] + 0.22, chin[2] + 0.10, chin[2] - 0.12],
    )[:, None]
    side = (left[2] + right[2]) / 2 + 0.03 + 0 * t
    z = side + (middle - side) * np.cos(np.clip(np.abs(s), 0, 1) * np.pi / 2 * 0.98) ** 0.75
    folds = 0.012 * np.sin(t * np.pi * 7) * np.cos(s * np.pi / 2)
    sheet = np.stack(np.broadcast_arrays(x, y, z + folds), -1).reshape(-1, 3)
    corners = sheet.reshape(MASK_ROWS, MASK_COLUMNS, 3)
    straps = []
    for column, ear in ((0, landmarks[0]), (-1, landmarks[16])):
        outward = np.sign(ear[0]) * 0.05
        for row, lift in ((1, 0.15), (MASK_ROWS - 2, -0.35)):
            end = ear + np.array([outward, lift, -0.1])
            start = corners[row, column]
            path = start + (end - start) * np.linspace(0, 1, 5)[:, None]
            straps.append(_tube(path, 0.02))
    return {
        "mask": ("mask", sheet.astype(np.float32)),
        "straps": ("mask/straps", np.concatenate(straps).astype(np.float32)),
    }


def _tube(
    path: NDArray[np.float64], radius: float, *, closed: bool = False
) -> NDArray[np.float64]:
    """Vertices (n*TUBE_STEPS,3) of a tube of round section about a path (n,3)."""
    loop = np.roll(path, -1, 0) - np.roll(path, 1, 0)
    along = loop if closed else np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    helper = np.where(np.abs(along[:, 2:]) < 0.8, [[0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]])
    u = np.cross(along, helper)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(along, u)
    turn = np.linspace(0, 2 * np.pi, TUBE_STEPS, endpoint=False)[None, :, None]
    ring = np.cos(turn) * u[:, None] + np.sin(turn) * v[:, None]
    return np.asarray((path[:, None] + radius * ring).reshape(-1, 3))
