# SPDX-License-Identifier: Apache-2.0
"""What things are made of: a person's parts as materials of the renderer."""

from __future__ import annotations

from training.synthesis.geometry import Head, Shape
from training.synthesis.person import Person
from training.synthesis.renderer import Look, Material, SkinDetail


def skin_detail(person: Person) -> SkinDetail:
    return SkinDetail(
        detail=person.detail,
        beard=person.beard,
        make_up=person.make_up,
        lip_colour=person.lip_colour,
        lid_shade=person.lid_shade,
        scalp=person.scalp,
        lid_colour=person.lid_colour,
        hair_colour=person.hair_colour,
    )


def dressed(head: Head, person: Person) -> list[tuple[Shape, Material]]:
    """Shapes with their materials in drawing order: what covers the skin first
    (so that hidden skin is not shaded), glass last."""
    lash_cut = 0.6 if person.maleness > 0.5 else 0.3
    worn = {w.kind: w.texture for w in person.worn}
    looks = {
        "hair": Material(
            Look.HAIR, worn.get("hair"), person.hair_colour, (0.3, 18), 0.15, 0.85, shadows=True
        ),
        # Lashes thinned: at this resolution they are seen as a line, and on men hardly at all.
        "eyelashes": Material(Look.PLAIN, worn.get("eyelashes"), alpha_cut=lash_cut),
        "eyebrows": Material(
            Look.HAIR, worn.get("eyebrows"), person.hair_colour, alpha_cut=0.25, opacity=0.55
        ),
        "clothes": Material(
            Look.PLAIN, worn.get("clothes"), person.cloth_colour, (0.08, 10), 0.3, shadows=True
        ),
        "hat": Material(
            Look.PLAIN, worn.get("hat"), person.cloth_colour, (0.08, 10), 0.3, shadows=True
        ),
        "covering": Material(
            Look.PLAIN, person.covering_texture, person.cloth_colour, (0.05, 8), shadows=True
        ),
        "body": Material(
            Look.SKIN, person.skin, person.skin_tint, person.skin_gloss, shadows=True
        ),
        "teeth": Material(Look.PLAIN, worn.get("teeth"), gloss=(0.3, 20.0)),
        "tongue": Material(Look.PLAIN, worn.get("tongue"), gloss=(0.3, 20.0)),
        "eyes": Material(
            Look.EYE, worn.get("eyes"), person.eye_tint, gloss=(1.2, 80.0), alpha_cut=0.02
        ),
    }
    if person.mask_colour is not None:
        cloth = Material(Look.PLAIN, None, person.mask_colour, (0.05, 8), shadows=True)
        looks |= {"mask": cloth, "straps": cloth}
    if person.glasses is not None:
        glasses = person.glasses
        looks["frame"] = Material(Look.PLAIN, None, glasses.frame_colour, (0.9, 40), shadows=True)
        looks["lenses"] = Material(
            Look.GLASS, None, glasses.lens_colour, (1.5, 60), opacity=glasses.lens_opacity
        )
    return [(head.shapes[kind], look) for kind, look in looks.items() if kind in head.shapes]
