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

import moderngl
import numpy as np
from numpy.typing import NDArray

from training.synthesis.camera import Camera
from training.synthesis.geometry import Shape
from training.synthesis.gl_objects import MeshBuffers, Program, Textures, noise_texture
from training.synthesis.harmonics import two_tone
from training.synthesis.lighting import Lighting
from training.synthesis.mesh import Mesh
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
GLASS_BLENDING: Any = (  # of colours and of alpha; the types of moderngl know two numbers only
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
    lid_shade: float
    scalp: float
    lid_colour: tuple[float, float, float]
    hair_colour: tuple[float, float, float]


class Renderer:
    """Draws heads into a square frame of ``size`` pixels.

    meshes: everything that will be drawn, by key; regions (n,4): the zones of the body mesh, see
    ``HeadBuilder.regions``. One sample a pixel: multisampling costs a software device six times
    the time.
    """

    def __init__(self, meshes: dict[str, Mesh], regions: NDArray[np.float32], size: int) -> None:
        self.size = size
        settings: dict[str, Any] = {"backend": "egl"}
        self._context = moderngl.create_standalone_context(**settings)
        context = self._context
        self._surfaces = {
            (look, shadowed): Program(
                context,
                SURFACE_VERTEX % (int(look), int(shadowed)),
                SURFACE_FRAGMENT % (int(look), int(shadowed)),
            )
            for look in Look
            for shadowed in (False, True)
        }
        self._shadow = Program(context, SHADOW_VERTEX, SHADOW_FRAGMENT)
        frame = (size, size)
        self._target = context.framebuffer(
            [context.renderbuffer(frame, 4)], context.depth_renderbuffer(frame)
        )
        self._shadow_map = context.depth_texture((SHADOW_SIZE, SHADOW_SIZE))
        self._shadow_map.compare_func = ""
        self._shadow_map.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._shadow_target = context.framebuffer(depth_attachment=self._shadow_map)
        self._textures = Textures(context)
        self._noise = noise_texture(context)
        self._buffers = {
            key: MeshBuffers(context, mesh, regions if key == "body" else None)
            for key, mesh in meshes.items()
        }
        for program in self._surfaces.values():
            program.set(texture0=0, shadow_map=1, noise_map=2)

    @property
    def device(self) -> str:
        """Name of the GL device that draws."""
        return str(self._context.info["GL_RENDERER"])

    def render(
        self,
        shapes: Sequence[tuple[Shape, Material]],
        skin: SkinDetail,
        camera: Camera,
        lighting: Lighting,
    ) -> NDArray[np.uint8]:
        """Draw the shapes in order: what hides others first, glass last.

        Returns (size,size,4) uint8 RGBA; pixels with nothing on them are 0.
        """
        for shape, _ in shapes:
            self._buffers[shape.key].write(shape.positions, shape.normals)
        self._context.enable_only(moderngl.DEPTH_TEST)
        shadowed = lighting.shadow > 0
        uniforms = self._scene_uniforms(camera, lighting, skin)
        if shadowed:
            self._shadow.set(**uniforms)
            self._draw_shadows(shapes)
        for look in {material.look for _, material in shapes}:
            self._surfaces[look, shadowed].set(**uniforms)
        self._target.use()
        self._target.clear(0.0, 0.0, 0.0, 0.0)
        self._shadow_map.use(1)
        self._noise.use(2)
        for shape, material in shapes:
            self._draw(shape, material, shadowed)
        pixels = np.frombuffer(self._target.read(components=4), np.uint8)
        return pixels.reshape(self.size, self.size, 4)[::-1]

    def _draw(self, shape: Shape, material: Material, shadowed: bool) -> None:
        program = self._surfaces[material.look, shadowed]
        program.set(
            gloss=material.gloss,
            alpha_cut=material.alpha_cut,
            opacity=material.opacity,
            tint=material.tint,
        )
        self._textures[material.texture].use(0)
        # Closed surfaces: their inside never shows.
        state = moderngl.CULL_FACE if material.look in (Look.SKIN, Look.EYE) else moderngl.NOTHING
        if material.look == Look.GLASS:
            state = moderngl.BLEND
            self._context.blend_func = GLASS_BLENDING
        self._context.enable_only(moderngl.DEPTH_TEST | state)
        self._buffers[shape.key].drawn_by(program).render()

    def _draw_shadows(self, shapes: Sequence[tuple[Shape, Material]]) -> None:
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        for shape, material in shapes:
            if material.shadows:
                self._shadow.set(alpha_cut=0.5 if material.alpha_cut > 0 else 0.0)
                self._textures[material.texture].use(0)
                self._buffers[shape.key].drawn_by(self._shadow).render()

    def _scene_uniforms(
        self, camera: Camera, lighting: Lighting, skin: SkinDetail
    ) -> dict[str, Any]:
        half = self.size / 2
        distance = float(-camera.shift[2])
        lights = list(lighting.lights)[:3]
        unused = 3 - len(lights)
        return {
            "rotation": _column_major(camera.rotation),
            "centre": tuple(camera.centre.tolist()),
            "shift": tuple(camera.shift.tolist()),
            "focal": camera.focal_px / half,
            "principal": (camera.principal_px[0] / half, -camera.principal_px[1] / half),
            "depth_range": (max(distance - 6.0, NEAR_DM), distance + 6.0),
            "light_axes": _column_major(_light_axes(lighting)),
            "shadow_reach": SHADOW_REACH_DM,
            "shadow_depth": SHADOW_DEPTH_DM,
            "light_count": len(lights),
            "light_direction": [light.direction for light in lights] + [(0.0, 1.0, 0.0)] * unused,
            "light_colour": [light.colour for light in lights] + [(0.0, 0.0, 0.0)] * unused,
            "ambient": list(map(tuple, _ambient(lighting))),
            "shadow": lighting.shadow,
            "detail": skin.detail,
            "beard": skin.beard,
            "make_up": skin.make_up,
            "lip_colour": skin.lip_colour,
            "lid_shade": skin.lid_shade,
            "scalp": skin.scalp,
            "lid_colour": skin.lid_colour,
            "hair_colour": skin.hair_colour,
        }


def _ambient(lighting: Lighting) -> NDArray[np.float64]:
    """Nine colours (9,3) of the ambient light, see harmonics.py."""
    if lighting.ambient:
        return np.array(lighting.ambient)
    return two_tone(lighting.ground, lighting.sky, lighting.up)


def _column_major(matrix: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(matrix.T.ravel().tolist())


def _light_axes(lighting: Lighting) -> NDArray[np.float64]:
    """Rows: two axes across the first light's direction, and the direction itself."""
    z = np.array(lighting.lights[0].direction if lighting.lights else (0.0, 1.0, 0.0))
    helper = np.array([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0])
    x = np.cross(helper, z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])
