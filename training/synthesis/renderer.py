# SPDX-License-Identifier: Apache-2.0
"""The OpenGL code, alone: posed meshes, materials, lights and a camera to an RGBA image.

Runs on any EGL driver, Mesa's llvmpipe included. View axes are x right, y up, z to the viewer,
with the camera at the origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

from training.synthesis.geometry import Shape
from training.synthesis.library import Mesh
from training.synthesis.scene import Scene
from training.synthesis.shaders import (
    SHADOW_FRAGMENT,
    SHADOW_VERTEX,
    SURFACE_FRAGMENT,
    SURFACE_VERTEX,
)

SHADOW_SIZE = 256
SHADOW_REACH_DM = 3.2
SHADOW_DEPTH_DM = 8.0
NEAR_DM = 0.4
GLASS_BLENDING = (
    moderngl.SRC_ALPHA,
    moderngl.ONE_MINUS_SRC_ALPHA,
    moderngl.ONE,
    moderngl.ONE_MINUS_SRC_ALPHA,
)


class Look(IntEnum):
    """Which shading a material gets; the numbers are those of the shader."""

    SKIN = 0
    HAIR = 1
    PLAIN = 2
    EYE = 3
    GLASS = 4


@dataclass(frozen=True)
class Material:
    """texture: diffuse file or None for white; tint: linear RGB factor; gloss: strength and
    exponent of the highlight; alpha_cut: texels below are holes; opacity: of glass, or of
    hair the alpha that is always solid; shadows: whether it throws any."""

    look: Look
    texture: Path | None
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gloss: tuple[float, float] = (0.1, 20.0)
    alpha_cut: float = 0.0
    opacity: float = 1.0
    shadows: bool = False


@dataclass(frozen=True)
class SkinDetail:
    """What only skin needs, see person.Person."""

    detail: tuple[float, float, float, float]
    beard: float
    make_up: float
    lip_colour: tuple[float, float, float]
    hair_colour: tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """rotation (3,3), shift (3,) dm: head axes to view axes; focal and principal point in pixels
    of the square frame of ``size`` pixels (principal point from the frame's centre, y down)."""

    rotation: NDArray[np.float64]
    centre: NDArray[np.float64]
    shift: NDArray[np.float64]
    focal_px: float
    principal_px: tuple[float, float]


class _Buffers:
    """A mesh on the GL device; vertex arrays are made for a program when it first draws."""

    def __init__(
        self,
        context: moderngl.Context,
        *,
        vertices: moderngl.Buffer,
        uv: moderngl.Buffer,
        region: moderngl.Buffer,
        index: moderngl.Buffer,
    ) -> None:
        self._context = context
        self.vertices = vertices
        self._static = ((uv, "2f", "uv"), (region, "2f", "region"))
        self._index = index
        self._arrays: dict[int, moderngl.VertexArray] = {}

    def surface(self, program: moderngl.Program) -> moderngl.VertexArray:
        """The vertex array that feeds the attributes that the program has."""
        if program.glo not in self._arrays:
            names = ("position", "normal")
            layout = " ".join("3f" if name in program else "12x" for name in names)
            content = [(self.vertices, layout, *(n for n in names if n in program))]
            content += [(b, f, name) for b, f, name in self._static if name in program]
            self._arrays[program.glo] = self._context.vertex_array(program, content, self._index)
        return self._arrays[program.glo]


class Renderer:
    """Draws heads into a square frame of ``size`` pixels, supersampled ``samples`` times."""

    def __init__(
        self, meshes: dict[str, Mesh], regions: NDArray[np.float32], size: int, samples: int = 0
    ) -> None:
        self.size = size
        self._context = moderngl.create_standalone_context(backend="egl")
        context = self._context
        self._surfaces = {
            (look, shadowed): context.program(
                SURFACE_VERTEX % (int(look), int(shadowed)),
                SURFACE_FRAGMENT % (int(look), int(shadowed)),
            )
            for look in Look
            for shadowed in (False, True)
        }
        self._shadow = context.program(SHADOW_VERTEX, SHADOW_FRAGMENT)
        frame = (size, size)
        self._target = context.framebuffer(
            [context.renderbuffer(frame, 4)], context.depth_renderbuffer(frame)
        )
        self._multi = self._target
        if samples:
            self._multi = context.framebuffer(
                [context.renderbuffer(frame, 4, samples=samples)],
                context.depth_renderbuffer(frame, samples=samples),
            )
        self._shadow_map = context.depth_texture((SHADOW_SIZE, SHADOW_SIZE))
        self._shadow_map.compare_func = ""
        self._shadow_map.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._shadow_target = context.framebuffer(depth_attachment=self._shadow_map)
        self._textures: dict[Path | None, moderngl.Texture] = {None: _white(context)}
        self._noise = _noise_texture(context)
        self._buffers = {
            key: self._upload(mesh, regions if key == "body" else None)
            for key, mesh in meshes.items()
        }
        for program in self._surfaces.values():
            _set(program, texture0=0, shadow_map=1, noise_map=2)

    @property
    def device(self) -> str:
        """Name of the GL device that draws."""
        return str(self._context.info["GL_RENDERER"])

    def render(
        self,
        shapes: Sequence[tuple[Shape, Material]],
        skin: SkinDetail,
        camera: Camera,
        scene: Scene,
    ) -> NDArray[np.uint8]:
        """Draw; later shapes with glass must come last. Returns (size,size,4) uint8 RGBA,
        colour not multiplied by alpha; pixels with nothing on them are 0."""
        for shape, _ in shapes:
            data = np.concatenate([shape.positions, shape.normals], 1).astype("f4", copy=False)
            self._buffers[shape.key].vertices.write(data.tobytes())
        self._context.enable_only(moderngl.DEPTH_TEST)
        shadowed = scene.shadow > 0
        uniforms = self._scene_uniforms(camera, scene, skin)
        if shadowed:
            _set(self._shadow, **uniforms)
            self._draw_shadows(shapes)
        for look in {material.look for _, material in shapes}:
            _set(self._surfaces[look, shadowed], **uniforms)
        self._multi.use()
        self._multi.clear(0.0, 0.0, 0.0, 0.0)
        self._shadow_map.use(1)
        self._noise.use(2)
        for shape, material in shapes:
            self._draw(shape, material, shadowed)
        if self._multi is not self._target:
            self._context.copy_framebuffer(self._target, self._multi)
        pixels = np.frombuffer(self._target.read(components=4), np.uint8)
        return pixels.reshape(self.size, self.size, 4)[::-1]

    def _draw(self, shape: Shape, material: Material, shadowed: bool) -> None:
        program = self._surfaces[material.look, shadowed]
        _set(
            program,
            gloss=material.gloss,
            alpha_cut=material.alpha_cut,
            opacity=material.opacity,
            tint=material.tint,
        )
        self._texture(material.texture).use(0)
        # Closed surfaces: their inside never shows.
        state = moderngl.CULL_FACE if material.look in (Look.SKIN, Look.EYE) else moderngl.NOTHING
        if material.look == Look.GLASS:
            state = moderngl.BLEND
            self._context.blend_func = GLASS_BLENDING
        self._context.enable_only(moderngl.DEPTH_TEST | state)
        self._buffers[shape.key].surface(program).render()

    def _draw_shadows(self, shapes: Sequence[tuple[Shape, Material]]) -> None:
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        for shape, material in shapes:
            if material.shadows:
                self._shadow["alpha_cut"].value = 0.5 if material.alpha_cut > 0 else 0.0
                self._texture(material.texture).use(0)
                self._buffers[shape.key].surface(self._shadow).render()

    def _scene_uniforms(self, camera: Camera, scene: Scene, skin: SkinDetail) -> dict[str, Any]:
        half = self.size / 2
        distance = float(-camera.shift[2])
        lights = list(scene.lights)[:3]
        unused = 3 - len(lights)
        return {
            "rotation": _column_major(camera.rotation),
            "centre": tuple(camera.centre.tolist()),
            "shift": tuple(camera.shift.tolist()),
            "focal": camera.focal_px / half,
            "principal": (camera.principal_px[0] / half, -camera.principal_px[1] / half),
            "depth_range": (max(distance - 6.0, NEAR_DM), distance + 6.0),
            "light_axes": _column_major(_light_axes(scene)),
            "shadow_reach": SHADOW_REACH_DM,
            "shadow_depth": SHADOW_DEPTH_DM,
            "light_count": len(lights),
            "light_direction": [light.direction for light in lights] + [(0.0, 1.0, 0.0)] * unused,
            "light_colour": [light.colour for light in lights] + [(0.0, 0.0, 0.0)] * unused,
            "ambient_low": scene.ambient[0],
            "ambient_high": scene.ambient[1],
            "up": scene.up,
            "shadow": scene.shadow,
            "detail": skin.detail,
            "beard": skin.beard,
            "make_up": skin.make_up,
            "lip_colour": skin.lip_colour,
            "hair_colour": skin.hair_colour,
        }

    def _upload(self, mesh: Mesh, regions: NDArray[np.float32] | None) -> _Buffers:
        region = regions if regions is not None else np.zeros((len(mesh.uv), 2))
        return _Buffers(
            self._context,
            vertices=self._context.buffer(reserve=len(mesh.uv) * 24, dynamic=True),
            uv=self._context.buffer(mesh.uv.astype("f4").tobytes()),
            region=self._context.buffer(region.astype("f4").tobytes()),
            index=self._context.buffer(mesh.triangles.astype("i4").tobytes()),
        )

    def _texture(self, path: Path | None) -> moderngl.Texture:
        if path not in self._textures:
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if pixels is None:
                raise ValueError(f"{path}: expected a readable image, got none")
            code = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGBA
            rgba = np.ascontiguousarray(cv2.cvtColor(pixels, code)[::-1])
            texture = self._context.texture(rgba.shape[1::-1], 4, rgba.tobytes())
            texture.build_mipmaps()
            texture.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
            self._textures[path] = texture
        return self._textures[path]


def _set(program: moderngl.Program, **uniforms: Any) -> None:
    """Set the uniforms that the program uses; the compiler drops those it does not."""
    for name, value in uniforms.items():
        if name in program:
            program[name].value = value


def _column_major(matrix: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(matrix.T.ravel().tolist())


def _light_axes(scene: Scene) -> NDArray[np.float64]:
    """Rows: two axes across the first light's direction, and the direction itself."""
    z = np.array(scene.lights[0].direction if scene.lights else (0.0, 1.0, 0.0))
    helper = np.array([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0])
    x = np.cross(helper, z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def _white(context: moderngl.Context) -> moderngl.Texture:
    return context.texture((1, 1), 4, b"\xff\xff\xff\xff")


def _noise_texture(context: moderngl.Context) -> moderngl.Texture:
    """256x256 tiling noise of three scales, mean 0.5, for pores and blotches."""
    rng = np.random.default_rng(5)
    white = np.tile(rng.normal(size=(256, 256, 4)), (3, 3, 1)).astype(np.float32)
    noise = sum(cv2.GaussianBlur(white, (0, 0), s)[256:512, 256:512] * s for s in (1.5, 4, 10))
    noise = np.clip(noise / noise.std((0, 1)) * 0.16 + 0.5, 0, 1)
    texture = context.texture((256, 256), 4, (noise * 255).astype(np.uint8).tobytes())
    texture.build_mipmaps()
    texture.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
    return texture
