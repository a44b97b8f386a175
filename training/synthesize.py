# SPDX-License-Identifier: Apache-2.0
"""Render training images: ``python -m training.synthesize --assets PARTS --out DIR --count N``.

Whole shards that are already there are kept, so a killed run goes on where it was. One process
uses one core; run several with ``--shard 0/2``, ``--shard 1/2``. With ``--sheet`` it draws a
contact sheet and coverage plots of what is in DIR instead of rendering.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# One process a core: set before NumPy and Mesa read them.
for _variable in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")


@dataclass(frozen=True)
class SynthesizeConfig:
    """What to render, and where to."""

    out: Path
    """Folder of the shards."""
    assets: Path | None = None
    """Folder of the MakeHuman parts; needed for all but `--sheet`."""
    panoramas: Path | None = None
    """Folder of panoramas (.hdr, .exr, .exr.js): light and background; none: lamps only."""
    photos: Path | None = None
    """Folder of the background photos, where not in /usr/share/backgrounds."""
    no_faces: bool = False
    """Render what is no face, without labels, for `--data no-faces:DIR`."""
    count: int = 120_000
    """Images in all."""
    seed: int = 1
    shard: str = "0/1"
    """This process of how many, as I/N."""
    sheet: bool = False
    """Draw what is in `--out`, and render nothing."""

    def __post_init__(self) -> None:
        part, _, parts = self.shard.partition("/")
        if not (part.isdigit() and parts.isdigit() and int(part) < int(parts)):
            raise ValueError(f"--shard: expected I/N with 0 <= I < N, got {self.shard!r}")
        if self.count < 1:
            raise ValueError(f"--count: expected at least 1 image, got {self.count}")


def main(args: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    import cv2
    import tyro

    from training.synthesis.assets import AssetError

    cv2.setNumThreads(1)
    try:
        config = tyro.cli(SynthesizeConfig, description=__doc__, args=args)
        if config.sheet:
            from training.synthesis.sheet import write_sheet

            print(*write_sheet(config.out), sep="\n")
        else:
            _render(config)
    except (AssetError, ValueError) as error:
        print(f"synthesize: {error}", file=sys.stderr)
        return 1
    return 0


def _render(config: SynthesizeConfig) -> None:
    from training.synthesis.assets import MAKEHUMAN_ASSETS_URL, AssetError
    from training.synthesis.backgrounds import PHOTO_FOLDER
    from training.synthesis.engine import Engine
    from training.synthesis.no_faces import NoFaces
    from training.synthesis.shards import Plan, make_shard, shard_path, write_meta, write_shard

    if config.assets is None:
        raise AssetError(
            "--assets: expected the folder of the MakeHuman parts, got none; get them from "
            f"{MAKEHUMAN_ASSETS_URL}"
        )
    part, _, parts = config.shard.partition("/")
    plan = Plan(config.count, config.seed, int(part), int(parts))
    photos = config.photos or PHOTO_FOLDER
    engine = Engine(config.assets, config.seed, panoramas=config.panoramas, photos=photos)
    places = engine.panoramas.hashes if engine.panoramas else {}
    write_meta(config.out, plan, engine.renderer.device, places)
    no_faces = NoFaces(engine) if config.no_faces else None
    for shard in plan.shards():
        path = shard_path(config.out, shard)
        images = plan.images(shard)
        if path.is_file():
            print(f"{path.name}: kept", flush=True)
            continue
        start = time.perf_counter()
        columns = make_shard(engine, images, no_faces)
        write_shard(path, columns)
        speed = len(images) / (time.perf_counter() - start)
        found = columns["detected"].mean()
        print(f"{path.name}: {speed:.1f} images/s, {found:.0%} detected", flush=True)


if __name__ == "__main__":
    sys.exit(main())
