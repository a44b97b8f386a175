# SPDX-License-Identifier: Apache-2.0
"""How open a surface is to the light around it: eye sockets, nostrils and ears are dark."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

DIRECTIONS = 96
GRID_DM = 0.06  # finer than features, coarser than triangles
BIAS_DM = 0.08  # a surface does not hide itself
STRENGTH = 0.85  # light that bounces between surfaces is left


def openness(vertices: Floats, triangles: NDArray[np.int32]) -> Floats:
    """Share (V,) from 0 to 1 of the light from all around that arrives at each vertex.

    vertices (V,3) in dm, triangles (t,3). Depth maps from many directions, of points all over the
    triangles, say what is hidden; directions are weighted by their angle to the normal.
    """
    normals = normals_of(vertices, triangles)
    corners = vertices[triangles]
    # Points on every triangle: corners' means with several weights.
    weights = np.array(
        [[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4], [1, 1, 0], [0, 1, 1], [1, 0, 1]]
    )
    shares = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    points = np.einsum("wc,tcx->wtx", shares, corners).reshape(-1, 3)
    arrived, most = np.zeros(len(vertices)), np.zeros(len(vertices))
    for direction in _directions(DIRECTIONS):
        cosine = np.maximum(normals @ direction, 0.0)
        arrived += cosine * _seen(vertices, points, direction)
        most += cosine
    share = np.divide(arrived, most, out=np.ones_like(arrived), where=most > 0)
    return (1.0 - STRENGTH * (1.0 - share)).astype(np.float32)


def _seen(vertices: Floats, points: Floats, direction: Floats) -> NDArray[np.bool_]:
    """Which vertices (V,) nothing hides from far away in that direction (3,)."""
    helper = np.eye(3, dtype=np.float32)[int(np.abs(direction).argmin())]
    x = np.cross(helper, direction)
    x /= np.linalg.norm(x)
    across = np.stack([x, np.cross(direction, x)], 1)
    low = points.min(0).min() - 1.0
    cells = int(2 * (np.abs(points).max() - low) / GRID_DM) + 4

    def cell(p: Floats) -> NDArray[np.int64]:
        place = ((p @ across) / GRID_DM).astype(np.int64) + cells // 2
        return np.asarray(place[:, 0] * cells + place[:, 1], np.int64)

    nearest = np.full(cells * cells, -np.inf)
    np.maximum.at(nearest, cell(points), points @ direction)
    return np.asarray(vertices @ direction > nearest[cell(vertices)] - BIAS_DM)


def normals_of(vertices: Floats, triangles: NDArray[np.int32]) -> Floats:
    """Unit normals (V,3) of the vertices (V,3) of a mesh of triangles (t,3)."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(total, triangles[:, k], face)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(length, 1e-12), np.float32)


def _directions(count: int) -> Floats:
    k = np.arange(count) + 0.5
    z, phi = 1 - 2 * k / count, k * np.pi * (3 - np.sqrt(5))
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(phi), r * np.sin(phi), z], 1).astype(np.float32)
