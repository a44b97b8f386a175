# SPDX-License-Identifier: Apache-2.0
"""Render meshes: indexed triangles whose normals ignore the seams of the texture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


@dataclass(frozen=True)
class Mesh:
    """Render mesh. vertex_of (n,) source vertex per render vertex (seams of the texture double
    them), uv (n,2), triangles (t,3) int32 of render vertices; corners: the same as three (t,)
    arrays of source vertices; normal_sum: (n, t) 0/1 matrix that adds the face normals around
    each render vertex, across seams."""

    vertex_of: NDArray[np.int32]
    uv: NDArray[np.float32]
    triangles: NDArray[np.int32]
    corners: tuple[NDArray[np.int32], ...]
    normal_sum: sparse.csr_matrix


def make_mesh(
    vertex_of: NDArray[np.integer[Any]],
    uv: NDArray[np.floating[Any]],
    triangles: NDArray[np.integer[Any]],
) -> Mesh:
    """A mesh from its three arrays; the rest of it is derived."""
    corners = vertex_of[triangles]
    columns = np.repeat(np.arange(len(triangles)), 3)
    shape = (int(vertex_of.max()) + 1, len(triangles))
    ones = np.ones(triangles.size, np.float32)
    around = sparse.csr_matrix((ones, (corners.ravel(), columns)), shape=shape)
    return Mesh(
        vertex_of=vertex_of.astype(np.int32),
        uv=uv.astype(np.float32),
        triangles=triangles.astype(np.int32),
        corners=tuple(np.ascontiguousarray(corners.T.astype(np.int32))),
        normal_sum=around[vertex_of],
    )


def weld(
    triangles: NDArray[np.int32], uv_triangles: NDArray[np.int32], uv: NDArray[np.float32]
) -> Mesh:
    """One render vertex per (vertex, texture coordinate) pair in use."""
    pairs = triangles.ravel().astype(np.int64) << 32 | uv_triangles.ravel()
    unique, inverse = np.unique(pairs, return_inverse=True)
    vertex_of = (unique >> 32).astype(np.int32)
    tri = inverse.reshape(-1, 3).astype(np.int32)
    return make_mesh(vertex_of, uv[unique & 0xFFFFFFFF], tri)
