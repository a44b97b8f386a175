# SPDX-License-Identifier: Apache-2.0
"""Hair of single strands: hairstyles of CharMorph's Vitruvian (CC0) as thin ribbons.

A style is a few hundred to some ten thousand lines over a head of its own. That head is laid onto
MakeHuman's, every point is bound to the skin nearest to it, and the lines become ribbons with a
texture of several hairs. Styles are varied by code: mirrored, cut, waved, fuller.
Lengths are decimetres, axes x to the person's left, y up, z out of the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from training.synthesis.mesh import make_mesh
from training.synthesis.parts import Part

Floats = NDArray[np.float32]

FOLDER = "charmorph_vitruvian"
STRANDS_TEXTURE = Path("strands")  # drawn by code: gl_objects.py
TEXTURE_LANES = 16  # side by side in the texture, one to a ribbon
RIBBONS, POINTS = 1000, 7  # of a style
WIDTH_DM = 0.055
CLEAR_DM = 0.03  # of the skin
NEIGHBOURS = 6
BROW = "mind_eyebrows_11_Default"


@dataclass(frozen=True)
class Style:
    """A variant of a hairstyle. keep: share of the strands' length; wave: its strength in dm;
    full: factor of the distance from the skin; short: whether men wear it more than women."""

    file: str
    name: str
    keep: float = 1.0
    mirror: bool = False
    wave: float = 0.0
    full: float = 1.0
    short: bool = False


STYLES = (
    Style("Eve", "eve"),
    Style("Eve", "eve-mirrored", mirror=True, wave=0.05),
    Style("Eve", "eve-cut", 0.55, full=1.15),
    Style("Back1", "back"),
    Style("Back1", "back-waved", 0.8, True, 0.08, 1.2),
    Style("Back1", "back-cut", 0.45),
    Style("Bob", "bob"),
    Style("Bob", "bob-mirrored", 0.85, True, 0.03, 1.15),
    Style("Bob", "bob-cut", 0.6),
    Style("SceneHair_1_O4saken", "scene"),
    Style("SceneHair_1_O4saken", "scene-mirrored", 0.8, True, 0.04),
    Style("SceneHair_1_O4saken", "scene-cut", 0.45, short=True),
    Style("Combover_zoro_d", "combover", short=True),
    Style("Combover_zoro_d", "combover-mirrored", 0.75, True, short=True),
    Style("Combover_zoro_d", "combover-cut", 0.5, wave=0.03, short=True),
    Style("SlickedBack", "slicked", short=True),
    Style("SlickedBack", "slicked-full", mirror=True, wave=0.02, full=1.6, short=True),
    Style("SlickedBack", "slicked-cut", 0.6, short=True),
)


def strand_parts(
    assets: Path, head: Floats, skin: NDArray[np.int32], normals: Floats, brow: Floats
) -> tuple[tuple[Part, ...], Floats]:
    """All styles as parts of the kind "hair", and how much hair grows on each vertex (B,), 0..1.

    head (B,3): the average head; skin (n,): its vertices of skin, with their normals (n,3);
    brow (3,): the middle between its brows. No parts, and no hair, where the files are missing.
    """
    folder = assets / FOLDER
    grown = np.zeros(len(head), np.float32)
    if not (folder / "hairstyles").is_dir():
        return (), grown
    place = _Registration(folder, head[skin], brow)
    tree = cKDTree(head[skin])
    parts, lines_of, roots = [], {}, []
    for number, style in enumerate(STYLES):
        if style.file not in lines_of:
            lines_of[style.file] = place(_read(folder, style.file))
            roots.append(lines_of[style.file][:, 0])
        rng = np.random.default_rng(number)
        lines = _varied(lines_of[style.file], style, head[skin], normals, tree, rng)
        parts.append(_part(style, lines, head, skin, normals, tree, rng))
    distance, _ = cKDTree(np.concatenate(roots)).query(head[skin])
    grown[skin] = np.clip(1.5 - distance / 0.07, 0.0, 1.0)
    return tuple(parts), grown


def _read(folder: Path, name: str) -> Floats:
    """Strands (S,POINTS,3), in metres, z up, the face towards -y; the same every time."""
    with np.load(folder / "hairstyles" / f"{name}.npz") as file:
        counts, data = file["cnt"].astype(int), file["data"]
    starts = np.concatenate([[0], np.cumsum(counts)])
    chosen = np.flatnonzero(counts > 2)
    if len(chosen) > RIBBONS:
        chosen = np.random.default_rng(0).choice(chosen, RIBBONS, replace=False)
    along = np.linspace(0.0, 1.0, POINTS)
    lines = []
    for k in chosen:
        line = data[starts[k] : starts[k + 1]]
        place = along * (len(line) - 1)
        below = np.minimum(place.astype(int), len(line) - 2)
        share = (place - below)[:, None]
        lines.append(line[below] * (1 - share) + line[below + 1] * share)
    return np.array(lines, np.float32)


class _Registration:
    """Takes points of CharMorph's base mesh to the average head: three scales, a shift."""

    def __init__(self, folder: Path, skin: Floats, brow: Floats) -> None:
        base = _axes(np.load(folder / "morphs" / "L1" / "Default.npy").astype(np.float32))
        with np.load(folder / "hairstyles" / f"{BROW}.npz") as file:
            own_brow = _axes(file["data"]).mean(0)
        size = (skin[:, 1].max() - brow[1]) / (base[:, 1].max() - own_brow[1])
        self.scale = np.full(3, size, np.float32)
        self.shift = np.asarray(brow - own_brow * size, np.float32)
        skull = base[base[:, 1] > own_brow[1] + 0.1]
        skull = skull[np.random.default_rng(0).permutation(len(skull))[:1500]]
        tree = cKDTree(skin)
        for _ in range(20):  # iterated closest points
            moved = skull * self.scale + self.shift
            distance, nearest = tree.query(moved)
            good = distance < np.quantile(distance, 0.8)
            for axis in range(3):
                a, b = np.polyfit(skull[good, axis], skin[nearest[good], axis], 1)
                self.scale[axis], self.shift[axis] = a, b
        self.shift[0] = 0.0  # both heads are symmetric

    def __call__(self, points: Floats) -> Floats:
        return np.asarray(_axes(points) * self.scale + self.shift, np.float32)


def _axes(points: Floats) -> Floats:
    """Metres, z up, towards -y to decimetres, y up, towards z."""
    return np.asarray(points[..., [0, 2, 1]] * np.array([10, 10, -10], np.float32), np.float32)


def _formed(lines: Floats, style: Style, rng: np.random.Generator) -> Floats:
    """The strands of a variant, wherever the skin is: repeated, cut, waved, mirrored."""
    copies = max(1, round(RIBBONS / len(lines)))
    formed = np.concatenate([lines] * copies).astype(np.float64)
    if copies > 1:
        formed += rng.normal(0, 0.06, (len(formed), 1, 3))
    along = np.linspace(0, 1, POINTS)
    keep = style.keep * np.clip(rng.normal(1, 0.08, len(formed)), 0.5, 1.0)
    place = along[None] * keep[:, None] * (POINTS - 1)
    below = np.minimum(place.astype(int), POINTS - 2)
    share = (place - below)[..., None]
    rows = np.arange(len(formed))[:, None]
    formed = formed[rows, below] * (1 - share) + formed[rows, below + 1] * share
    phase = rng.uniform(0, 2 * np.pi, (len(formed), 1, 1)) * 0.15
    waves = np.sin(along[None, :, None] * 14 + phase + np.array([0.0, 2.0, 4.0]))
    formed += style.wave * waves * along[None, :, None]
    formed += rng.normal(0, 0.02, formed.shape) * along[None, :, None]
    if style.mirror:
        formed = formed * np.array([-1.0, 1.0, 1.0])
    return np.asarray(formed, np.float32)


def _varied(
    lines: Floats,
    style: Style,
    skin: Floats,
    normals: Floats,
    tree: cKDTree,
    rng: np.random.Generator,
) -> Floats:
    """The strands (S,POINTS,3) of a variant, repeated until there are enough, off the skin."""
    lines = _formed(lines, style, rng)
    flat = lines.reshape(-1, 3)
    _, nearest = tree.query(flat)
    off = np.einsum("nx,nx->n", flat - skin[nearest], normals[nearest])
    wanted = np.maximum(off * style.full, CLEAR_DM)
    wanted = np.where(off > 1.2, off, wanted)  # what hangs far from the skin stays
    flat = flat + (wanted - off)[:, None] * normals[nearest]
    return np.asarray(flat.reshape(lines.shape), np.float32)


def _part(
    style: Style,
    lines: Floats,
    head: Floats,
    skin: NDArray[np.int32],
    normals: Floats,
    tree: cKDTree,
    rng: np.random.Generator,
) -> Part:
    """Ribbons that face away from the skin, bound to it."""
    count = len(lines)
    _, nearest = tree.query(lines.reshape(-1, 3))
    outward = normals[nearest].reshape(lines.shape)
    course = np.gradient(lines, axis=1)
    side = np.cross(course, outward)
    side /= np.linalg.norm(side, axis=-1, keepdims=True) + 1e-6
    # Twisted a little, and thinner towards the tip.
    side = side + 0.35 * rng.normal(size=(count, 1, 1)) * outward
    width = WIDTH_DM * np.exp(rng.normal(0, 0.3, (count, 1, 1)))
    width = width * np.linspace(1.0, 0.45, POINTS)[None, :, None]
    edges = np.stack([lines - side * width, lines + side * width], 2).reshape(-1, 3)
    lane = rng.integers(TEXTURE_LANES, size=count)
    u = (lane[:, None, None] + np.array([0.02, 0.98])) / TEXTURE_LANES
    v = np.broadcast_to(np.linspace(0.0, 1.0, POINTS)[None, :, None], (count, POINTS, 2))
    uv = np.stack([np.broadcast_to(u, v.shape), v], -1).reshape(-1, 2)
    first = (np.arange(count)[:, None] * POINTS + np.arange(POINTS - 1)).ravel() * 2
    quads = np.stack([first, first + 1, first + 3, first + 2], 1)
    triangles = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    distance, around = tree.query(edges, NEIGHBOURS)
    weights = 1.0 / (distance + 0.05) ** 2
    weights /= weights.sum(1, keepdims=True)
    rows = np.repeat(np.arange(len(edges)), NEIGHBOURS)
    shape = (len(edges), len(head))
    values = weights.ravel().astype(np.float32)
    binding = sparse.csr_matrix((values, (rows, skin[around].ravel())), shape=shape)
    return Part(
        name=f"{'short-' if style.short else ''}strands-{style.name}",
        mesh=make_mesh(np.arange(len(edges), dtype=np.int32), uv.astype(np.float32), triangles),
        binding=binding,
        offsets=np.asarray(edges - binding @ head, np.float32),
        scales=(None, None, None),
        textures=(STRANDS_TEXTURE,),
    )


def strands_texture(size: int = 256) -> NDArray[np.uint8]:
    """Hairs beside each other, (size,size,4) uint8 RGBA, bottom row first: the roots."""
    rng = np.random.default_rng(11)
    across = rng.uniform(0.15, 1.0, size)
    lanes = np.repeat(rng.uniform(0.5, 1.0, TEXTURE_LANES), size // TEXTURE_LANES)
    along = np.linspace(0.55, 1.0, size)[:, None]
    light = along * (across * lanes)[None] * np.exp(rng.normal(0, 0.05, (size, 1)))
    # Solid at the root; towards the tip only the strongest hairs are left.
    strength = rng.uniform(0, 1, size)[None]
    alpha = np.clip(1.25 - np.linspace(0.2, 1.0, size)[:, None] * (1.0 - strength) * 1.3, 0, 1)
    grey = np.clip(light * 190, 0, 255)
    return np.stack([grey, grey, grey, alpha * 255], -1).astype(np.uint8)
