# SPDX-License-Identifier: Apache-2.0
"""Programs, meshes and textures on the GL device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

from training.synthesis.mesh import Mesh
from training.synthesis.strands import STRANDS_TEXTURE, strands_texture


class Program:
    """A GL program that takes the uniforms it uses and ignores those the compiler dropped."""

    def __init__(self, context: moderngl.Context, vertex: str, fragment: str) -> None:
        self.gl = context.program(vertex, fragment)
        members = {name: self.gl[name] for name in self.gl}
        self.attributes = {n for n, m in members.items() if isinstance(m, moderngl.Attribute)}
        self._uniforms = {n: m for n, m in members.items() if isinstance(m, moderngl.Uniform)}

    def set(self, **values: Any) -> None:
        """Set uniforms by name."""
        for name, value in values.items():
            if name in self._uniforms:
                self._uniforms[name].value = value


class MeshBuffers:
    """A mesh on the GL device; vertex arrays are made for a program when it first draws."""

    def __init__(
        self, context: moderngl.Context, mesh: Mesh, regions: NDArray[np.float32] | None
    ) -> None:
        region = regions if regions is not None else np.zeros((len(mesh.uv), 4))
        self._context = context
        self._vertices = context.buffer(reserve=len(mesh.uv) * 24, dynamic=True)
        self._static = (
            (context.buffer(mesh.uv.astype("f4").tobytes()), "2f", "uv"),
            (context.buffer(region.astype("f4").tobytes()), "4f", "region"),
        )
        self._index = context.buffer(mesh.triangles.astype("i4").tobytes())
        self._arrays: dict[int, moderngl.VertexArray] = {}

    def write(self, positions: NDArray[np.float32], normals: NDArray[np.float32]) -> None:
        """Give the mesh new positions and normals (n,3)."""
        data = np.concatenate([positions, normals], 1).astype("f4", copy=False)
        self._vertices.write(data.tobytes())

    def drawn_by(self, program: Program) -> moderngl.VertexArray:
        """The vertex array that feeds the attributes that the program has."""
        if program.gl.glo not in self._arrays:
            has = program.attributes
            names = ("position", "normal")
            layout = " ".join("3f" if name in has else "12x" for name in names)
            content = [(self._vertices, layout, *(n for n in names if n in has))]
            content += [(b, f, name) for b, f, name in self._static if name in has]
            self._arrays[program.gl.glo] = self._context.vertex_array(
                program.gl, content, self._index
            )
        return self._arrays[program.gl.glo]


class Textures:
    """Image files as mipmapped textures, loaded when first used."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        white = context.texture((1, 1), 4, b"\xff\xff\xff\xff")
        self._loaded: dict[Path | None, moderngl.Texture] = {None: white}

    def __getitem__(self, path: Path | None) -> moderngl.Texture:
        """The texture of a file, white for None. Raises ValueError for an unreadable file."""
        if path == STRANDS_TEXTURE and path not in self._loaded:
            self._loaded[path] = mipmapped(self._context, strands_texture())
        if path not in self._loaded:
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if pixels is None or pixels.ndim != 3:
                raise ValueError(f"{path}: expected a colour image that OpenCV can read, got none")
            code = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGBA
            rgba = np.asarray(cv2.cvtColor(pixels, code), np.uint8)
            self._loaded[path] = mipmapped(self._context, rgba[::-1])
        return self._loaded[path]


def mipmapped(context: moderngl.Context, rgba: NDArray[np.uint8]) -> moderngl.Texture:
    """A texture of an image (H,W,4) uint8, bottom row first."""
    texture = context.texture(rgba.shape[1::-1], 4, np.ascontiguousarray(rgba).tobytes())
    texture.build_mipmaps()
    texture.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
    return texture


def noise_texture(context: moderngl.Context) -> moderngl.Texture:
    """256x256 tiling noise of three scales, mean 0.5, for pores and blotches."""
    rng = np.random.default_rng(5)
    white = np.tile(rng.normal(size=(256, 256, 4)), (3, 3, 1)).astype(np.float32)
    scales = (1.5, 4, 10)
    noise = np.sum([cv2.GaussianBlur(white, (0, 0), s)[256:512, 256:512] * s for s in scales], 0)
    noise = np.clip(noise / noise.std((0, 1)) * 0.16 + 0.5, 0, 1)
    return mipmapped(context, (noise * 255).astype(np.uint8))
