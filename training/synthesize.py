# SPDX-License-Identifier: Apache-2.0
"""Render training images: ``python -m training.synthesize --out DIR --count N --seed S``.

Whole shards that are already there are kept, so a killed run goes on where it was. One process
uses one core; run several with ``--shard 0/2``, ``--shard 1/2``. With ``--sheet`` it draws a
contact sheet and coverage plots of what is in DIR instead of rendering.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

# One process a core: set before NumPy and Mesa read them.
for _variable in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

DEFAULT_ASSETS = Path(__file__).resolve().parents[2] / "shared" / "assets"


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = _parse(argv)
    import cv2

    from training.synthesis.assets import AssetError

    cv2.setNumThreads(1)
    if args.sheet:
        from training.synthesis.sheet import write_sheet

        for path in write_sheet(args.out):
            print(path)
        return 0
    try:
        _render(args)
    except (AssetError, ValueError) as error:
        print(f"synthesize: {error}", file=sys.stderr)
        return 1
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.synthesize", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--count", type=int, default=120_000, help="images in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shard", default="0/1", metavar="I/N", help="this process of how many")
    parser.add_argument("--assets", type=Path, default=DEFAULT_ASSETS, help="MakeHuman parts")
    parser.add_argument("--panoramas", type=Path, help="folder of .hdr and .exr: light")
    parser.add_argument("--photos", type=Path, help="folder of the background photos")
    parser.add_argument("--no-faces", action="store_true", help="what is no face, without label")
    parser.add_argument("--sheet", action="store_true", help="draw what is in --out")
    args = parser.parse_args(argv)
    part, _, parts = args.shard.partition("/")
    if not (part.isdigit() and parts.isdigit() and int(part) < int(parts)):
        parser.error(f"--shard: expected I/N with 0 <= I < N, got {args.shard!r}")
    if args.count < 1:
        parser.error(f"--count: expected at least 1 image, got {args.count}")
    args.part, args.parts = int(part), int(parts)
    return args


def _render(args: argparse.Namespace) -> None:
    from training.synthesis.backgrounds import PHOTO_FOLDER
    from training.synthesis.engine import Engine
    from training.synthesis.no_faces import NoFaces
    from training.synthesis.shards import Plan, make_shard, shard_path, write_meta, write_shard

    plan = Plan(args.count, args.seed, args.part, args.parts)
    photos = args.photos or PHOTO_FOLDER
    engine = Engine(args.assets, args.seed, panoramas=args.panoramas, photos=photos)
    places = engine.panoramas.hashes if engine.panoramas else {}
    write_meta(args.out, plan, engine.renderer.device, places)
    no_faces = NoFaces(engine) if args.no_faces else None
    for shard in plan.shards():
        path = shard_path(args.out, shard)
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
