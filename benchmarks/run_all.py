# SPDX-License-Identifier: Apache-2.0
"""All figures of docs/performance.md on this machine, then the page and its picture.

    make benchmarks        or        python -m benchmarks.run_all --out out/benchmarks

Takes 8 minutes, with nothing else running. What --out holds already is not measured again: an
interrupted run goes on, `--again` starts anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import write_page, write_plot
from benchmarks.processes import REPOSITORY
from headpose_core.benchmark.first_pose import first_pose
from headpose_core.output_files import atomic_write
from headpose_core.pose.shipped import model_path

PEER = REPOSITORY / "benchmarks" / "peers" / "fsanet.toml"
MODELS = ("ehpnet_resnet18", "ehpnet_resnet18_int8", "ehpnet_lite", "ehpnet_lite_int8")


def run(*arguments: object, into: Path | None = None) -> None:
    """A module in a process of its own, as a user would run it."""
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE if into else None
    )
    if into:
        into.write_bytes(done.stdout)


def steps(peer_files: Path | None) -> dict[str, Callable[[Path], None]]:
    """File of each step, and what writes it."""
    files = [model_path(name) for name in MODELS]
    peers = ["--peer", PEER, "--peer-files", peer_files] if peer_files else []
    onnxruntime = ["--backend", "onnxruntime"]
    best = ["--parameters", f"model:={files[1]}"]
    default = ["--parameters", f"model:={files[0]}", "backend:=onnxruntime"]

    def starts(path: Path) -> None:
        kinds = [(f, b) for f in files for b in ("onnxruntime", "openvino")]
        rows = [{"model": f.stem, "backend": b, **first_pose(f, "cpu", b)} for f, b in kinds]
        path.write_text(json.dumps(rows, indent=1) + "\n")

    def bench(path: Path, seconds: int, *options: object) -> None:
        run("benchmarks.bench", "--json", "--seconds", seconds, *options, into=path)

    def latency(path: Path, seconds: int, *options: object) -> None:
        run("benchmarks.ros_latency", "--seconds", seconds, "--json", path, *options)

    return {
        "bench.json": lambda path: bench(path, 80, "--model", *files, *peers),
        "bench_default.json": lambda path: bench(path, 30, "--model", files[0], *onnxruntime),
        "bench_int8.json": lambda path: bench(path, 30, "--model", files[1]),
        "start.json": starts,
        "detect_every.json": lambda path: run("benchmarks.detect_every", "--json", path),
        "latency.json": lambda path: latency(path, 5, *best),
        "latency_default.json": lambda path: latency(path, 5, "--kinds", "720p30raw", *default),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"), metavar="DIR")
    parser.add_argument("--peer-files", type=Path, metavar="DIR", help="where FSA-Net's files are")
    parser.add_argument(
        "--accuracy", type=Path, metavar="FILE", help="results.json of int8, float"
    )
    parser.add_argument("--again", action="store_true", help="forget what --out holds")
    args = parser.parse_args(argv)
    if args.again:
        shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True, exist_ok=True)
    out = args.out.resolve()
    for name, make in steps(args.peer_files).items():
        if not (out / name).is_file():
            start = time.monotonic()
            with atomic_write(out / name) as unfinished:
                make(unfinished)
            print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    if args.accuracy:
        shutil.copyfile(args.accuracy, out / "accuracy.json")
    figures: dict[str, Any] = {p.stem: json.loads(p.read_text()) for p in out.glob("*.json")}
    write_plot(figures, REPOSITORY / "docs" / "images" / "performance.png")
    write_page(figures, REPOSITORY / "docs" / "performance.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
