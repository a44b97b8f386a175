# SPDX-License-Identifier: Apache-2.0
"""What hangs on MakeHuman's head: hair, eyes, teeth, clothes, each bound to its vertices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.synthesis.assets import Clothes, read_clothes, read_material_texture, read_obj
from training.synthesis.mesh import Mesh, weld

BUST_FLOOR_DM = 4.6  # lower parts of the body never show
BUST_HALF_WIDTH_DM = 2.6
PART_FOLDERS = {
    "hair": "hair",
    "eyebrows": "eyebrows",
    "eyelashes": "eyelashes",
    "eyes": "eyes",
    "teeth": "teeth",
    "tongue": "tongue",
    "clothes": "clothes",
    "hat": "clothes",
}
HATS = ("fedora",)
LEFT_OUT = ("eyebrow010", "Teeth_Shape")  # a blank texture; near-copies of Teeth_Base


@dataclass(frozen=True)
class Part:
    """A mesh bound to the base mesh. binding: (V, base vertices) weights; offsets (V,3);
    scales as in assets.Clothes; textures: the ones it can wear, at least one."""

    name: str
    mesh: Mesh
    binding: sparse.csr_matrix
    offsets: NDArray[np.float32]
    scales: tuple[tuple[int, int, float] | None, ...]
    textures: tuple[Path, ...]

    def positions(self, base: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vertices (V,3) of the part on a morphed base (B,3)."""
        factors = np.ones(3, np.float32)
        for axis, scale in enumerate(self.scales):
            if scale is not None:
                factors[axis] = abs(base[scale[0], axis] - base[scale[1], axis]) / scale[2]
        return np.asarray(self.binding @ base + self.offsets * factors, np.float32)


def find_clothes(parts_dir: Path, kind: str) -> Iterable[tuple[Clothes, tuple[Path, ...]]]:
    """The .mhclo files of one kind with the textures that each may wear."""
    for path in sorted((parts_dir / PART_FOLDERS[kind]).glob("*/*.mhclo")):
        clothes = read_clothes(path)
        is_hat = any(clothes.name.startswith(h) for h in HATS)
        if any(clothes.name.startswith(x) for x in LEFT_OUT):
            continue
        if kind in ("clothes", "hat") and is_hat != (kind == "hat"):
            continue
        materials = sorted(clothes.material.parent.glob("*.mhmat")) if clothes.material else []
        found = (read_material_texture(m) for m in materials)
        textures = tuple(dict.fromkeys(t for t in found if t is not None))
        if textures:
            yield clothes, textures


def in_bust(vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which triangles (t,) lie wholly in the head and shoulder region."""
    corners = vertices[triangles]
    inside: NDArray[np.bool_] = (corners[..., 1].min(1) > BUST_FLOOR_DM) & (
        np.abs(corners[..., 0]).max(1) < BUST_HALF_WIDTH_DM
    )
    return inside


def scale_vertices(clothes: Clothes) -> NDArray[np.int32]:
    """The base vertices by whose distances a part is scaled."""
    return np.array([v for s in clothes.scales if s for v in s[:2]], np.int32)


def make_part(
    clothes: Clothes,
    textures: tuple[Path, ...],
    base: NDArray[np.float32],
    renumber: NDArray[np.int32],
) -> Part:
    """Bind the mesh of an .mhclo file to the renumbered base, cut to the bust."""
    obj = read_obj(clothes.obj_file)
    count = len(clothes.references)
    binding = sparse.csr_matrix(
        (
            clothes.weights.ravel(),
            (np.repeat(np.arange(count), 3), renumber[clothes.references].ravel()),
        ),
        shape=(count, int(renumber.max()) + 1),
    )
    fitted = (base[clothes.references] * clothes.weights[..., None]).sum(1) + clothes.offsets
    keep = in_bust(fitted, obj.triangles)
    scales = tuple(
        (int(renumber[s[0]]), int(renumber[s[1]]), s[2]) if s else None for s in clothes.scales
    )
    return Part(
        name=clothes.name,
        mesh=weld(obj.triangles[keep], obj.uv_triangles[keep], obj.uv),
        binding=binding,
        offsets=clothes.offsets,
        scales=scales,
        textures=textures,
    )
