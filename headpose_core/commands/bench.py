# SPDX-License-Identifier: Apache-2.0
"""``headpose bench``: what this machine makes of it, stage by stage, beside what it allows.

The figures of one run belong together: everything is timed in turns, and the floors with it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from headpose_core.benchmark.first_pose import first_pose
from headpose_core.benchmark.floors import Floors, measure_floors
from headpose_core.benchmark.machine import machine, processor
from headpose_core.benchmark.models import Entry, Result, measure_models, open_entries
from headpose_core.benchmark.stages import COUNTS, SIZES, FrameBench, Stage
from headpose_core.benchmark.table import in_words, print_tables
from headpose_core.commands.arguments import number
from headpose_core.commands.terminal import say
from headpose_core.errors import DeviceError
from headpose_core.faces.yunet import YuNet
from headpose_core.pose.backends import DEVICES
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.shipped import model_path, shipped_models

_IMAGE_BYTES = 3 * 1280 * 720


def add_parser(subcommands: Any) -> argparse.ArgumentParser:
    """Add the subcommand to ``argparse``'s."""
    bench: argparse.ArgumentParser = subcommands.add_parser(
        "bench",
        help="how fast it is here, stage by stage, and what limits it",
        description="Time the networks and the stages of a camera frame on this machine, beside "
        "what its memory and its arithmetic allow. Best with nothing else running.",
        epilog="example: headpose bench --threads 2 --json",
    )
    add = bench.add_argument
    add("--model", type=Path, nargs="+", default=None, metavar="FILE", help="default: all shipped")
    add("--device", default="cpu", choices=["cpu", "cuda", "tensorrt"])
    add("--backend", nargs="+", choices=list(DEVICES), help="default: all that start quickly")
    add(
        "--threads",
        type=number(1, 64, int),
        default=1,
        metavar="N",
        help="of each network (default 1)",
    )
    add(
        "--seconds",
        type=number(0.1, 86400),
        default=30.0,
        metavar="S",
        help="for all in all (default 30)",
    )
    add("--json", action="store_true", help="figures as JSON and nothing else on standard output")
    bench.set_defaults(run=run)
    return bench


def run(args: argparse.Namespace, peers: Sequence[Entry] = ()) -> int:
    """Measure and print, peers in the same turns. Returns the exit status."""
    files = [model_path(name) for name in args.model] if args.model else shipped_models()
    on_cpu = args.device == "cpu"
    backends = args.backend or _quick_backends(args.device)
    # Half of the time for the networks, half for the frames.
    batches = (1, 8) if on_cpu else (1, 8, 64, 512)
    floors = measure_floors(_IMAGE_BYTES, seconds=max(args.seconds / 20, 0.5))
    precisions = ["fp32", "bf16" if on_cpu else "fp16"]
    if on_cpu and "bf16" not in processor():
        precisions.pop()
    entries = open_entries(files, backends, args.device, precisions, args.threads, say)
    if not entries:
        raise DeviceError(f"nothing left to measure on '{args.device}'")
    entries += peers
    results = measure_models(entries, batches, floors, args.seconds / 2 / len(batches))
    model = HeadPoseModel.load(
        files[0],
        device=args.device,
        backend=args.backend[0] if args.backend else "auto",
        threads=args.threads,
        allow_cpu_fallback=False,
        progress=say,
    )
    work = entries[0].multiply_adds
    frames = FrameBench(model, work, YuNet(threads=args.threads), floors, args.threads)
    kinds = [(size, count) for size in SIZES for count in COUNTS]
    stages = [
        stage
        for size, count in kinds
        for stage in frames.measure(size, count, args.seconds / 2 / len(kinds))
    ]
    start = first_pose(files[0], model.device, model.backend)
    network = _network(files[0], model, args.threads)
    if args.json:
        told = _record(results, stages, network, start, floors)
        print(json.dumps(told, indent=1, allow_nan=False))
    else:
        print_tables(results, stages, start, floors, in_words(network))
    return 0


def _quick_backends(device: str) -> list[str]:
    """All that are installed and have the device, without torch: it takes seconds to import."""
    return [
        name
        for name, devices in DEVICES.items()
        if name != "torch" and device in devices and find_spec(name)
    ]


def _network(file: Path, model: HeadPoseModel, threads: int) -> dict[str, Any]:
    """What ran the frames, as JSON."""
    got = {name: getattr(model, name) for name in ("backend", "device", "precision")}
    return {"model": file.stem, **got, "threads": threads}


def _record(
    results: Sequence[Result],
    stages: Sequence[Stage],
    network: Mapping[str, Any],
    start: dict[str, float],
    floors: Floors,
) -> dict[str, Any]:
    """Everything as JSON. network: what ran the frames."""
    return {
        "results": [result.record() for result in results],
        "frames": network,
        "stages": [stage.record() for stage in stages],
        "rss_mb": start["rss_mb"],
        "first_pose_s": start["first_pose_s"],
        "peak": {
            "fp32_gmac_s": floors.fp32 / 1e6,
            "int8_gmac_s": floors.int8 / 1e6,
            "copy_gb_s": floors.copy / 1e6,
        },
        "machine": machine(),
    }
