# SPDX-License-Identifier: Apache-2.0
"""From an image that is published to its heads on `head_pose`, over real DDS, three processes.

    python -m benchmarks.ros_latency [--seconds 5] [--json FILE] [--kinds 720p30raw ...]

First how long the node takes from the start of its process to its first heads. Then for each kind
of image: latency, processor time, what was lost on the way and what the node dropped; the same, in
a run of its own, of a subscriber in its place that does nothing. Needs the environment of
`make demo`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from argparse import RawDescriptionHelpFormatter as RawText
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rclpy

from benchmarks.latency_roles import (
    ALONE,
    KINDS,
    NODES,
    PATIENCE_S,
    Camera,
    Kind,
    NodeListener,
    in_role,
    until,
)
from benchmarks.processes import Usage, headpose_node, processor_s
from tools.demo.network import private_network


@dataclass(frozen=True)
class Measured:
    """What became of the images of one run.

    arrived: the node's answers, or what the empty subscriber heard. lost: what DDS did not bring,
    or overwrote before it was taken. dropped: by the node, for newer ones. Latencies in ms, from
    the stamp to the arrival; processor time in percent of one core; memory in use at the end, in
    1e6 bytes.
    """

    sent: int
    arrived: int
    lost: int
    dropped: int
    p50: float
    p95: float
    p99: float
    cpu_percent: float
    memory_mb: float

    @classmethod
    def of(
        cls, sent: int, came: int, dropped: int, ages_ms: Sequence[float], cpu: float, pid: int
    ) -> Measured:
        """Of the ages of what arrived, and of the process that took ``cpu`` percent meanwhile."""
        ages = np.percentile(ages_ms, (50, 95, 99)) if len(ages_ms) else np.full(3, np.nan)
        p50, p95, p99 = map(float, ages)
        counts = (sent, len(ages_ms), sent - came, dropped)
        return cls(*counts, p50, p95, p99, cpu, Usage.of(pid).memory_mb)


def measure_start(options: Sequence[str]) -> dict[str, Any]:
    """Start the node beside a camera of 720p and 30 Hz.

    Returns what it runs, "first_pose_s" from the start of its process to its first heads, to a
    thirtieth of a second, and "rss_mb" after 60 of them: its memory in 1e6 bytes.
    """
    camera, listener = Camera(Kind.read("720p30raw"), NODES), NodeListener()

    def heads() -> int:
        camera.send()
        listener.serve(0.01)  # `until` sleeps as well
        return len(listener.ages_ms)

    start = time.monotonic()
    with headpose_node(*transport_options("raw"), *options) as node:
        until(heads, "heads of the node")
        first_pose_s = time.monotonic() - start
        until(lambda: heads() >= 60, "60 heads of the node")
        measured = {"first_pose_s": first_pose_s, "rss_mb": Usage.of(node.pid).memory_mb}
        facts = listener.facts()
    until(lambda: not listener.count_subscribers("image"), "the node to be gone")
    camera.destroy_node()
    listener.destroy_node()
    return {name: facts[name] for name in ("model", "backend", "device", "precision")} | measured


def measure_node(pid: int, listener: NodeListener, kind: str, duration_s: float) -> Measured:
    """A camera against the node of this process id; `listener` hears what it publishes."""
    earlier = listener.facts()
    listener.ages_ms.clear()
    before = processor_s(pid)
    with in_role("camera", kind, str(duration_s), NODES) as camera:
        while camera.process.poll() is None:
            listener.serve(0.2)
        listener.serve(0.5)
        sent = int(camera.out.read())
    cpu = 100 * (processor_s(pid) - before) / duration_s
    later = listener.facts()
    came, dropped = (int(later[k]) - int(earlier[k]) for k in ("images_in", "images_dropped"))
    return Measured.of(sent, came, dropped, listener.ages_ms, cpu, pid)


def measure_empty(kind: str, duration_s: float) -> Measured:
    """A camera against a subscriber that does nothing but look at the clock."""
    with in_role("empty", kind) as empty:
        empty.out.readline()  # it listens
        pid = empty.process.pid
        before = processor_s(pid)
        with in_role("camera", kind, str(duration_s), ALONE) as camera:
            sent = int(camera.process.communicate(timeout=PATIENCE_S + duration_s)[0])
        time.sleep(0.5)
        cpu = 100 * (processor_s(pid) - before) / duration_s
        empty.into.write("\n")
        empty.into.flush()
        ages_ms = json.loads(empty.out.readline())
        return Measured.of(sent, len(ages_ms), 0, ages_ms, cpu, pid)


def run_all(kinds: Sequence[str], duration_s: float, options: Sequence[str]) -> dict[str, Any]:
    """Measure all. Returns {"start": ..., "idle": ..., kind: {"node": ..., "empty": ...}}."""
    found: dict[str, Any] = {"start": measure_start(options)}
    for transport in ("raw", "compressed"):
        chosen = [k for k in kinds if Kind.read(k).compressed == (transport == "compressed")]
        if not chosen:
            continue
        listener = NodeListener()
        images = "image" if transport == "raw" else "image/compressed"
        with headpose_node(*transport_options(transport), *options) as node:
            until(partial(listener.count_subscribers, images), "the node to be active")
            if transport == "raw":
                before = processor_s(node.pid)
                time.sleep(duration_s)
                used_s = processor_s(node.pid) - before
                found["idle"] = {"cpu_percent": 100 * used_s / duration_s}
            for kind in chosen:
                measured = measure_node(node.pid, listener, kind, duration_s)
                found[kind] = {"node": asdict(measured)}
                found[kind]["empty"] = asdict(measure_empty(kind, duration_s))
                print(line(kind, found[kind]), flush=True)
        listener.destroy_node()
    return found


def transport_options(transport: str) -> list[str]:
    """Of the node, for raw or compressed images."""
    return ["-p", f"image_transport:={transport}"]


def line(kind: str, told: dict[str, Any]) -> str:
    """One kind as a row of the table."""
    node, empty = told["node"], told["empty"]
    busy = f"{node['cpu_percent']:.0f} % of a core, {node['memory_mb']:.0f} MB"
    return (
        f"{kind:<11} {node['sent']:5} sent {node['lost']:4} lost {node['dropped']:4} dropped  "
        f"node {node['p50']:6.1f} {node['p95']:6.1f} {node['p99']:6.1f} ms, {busy}"
        f"  empty {empty['p50']:5.1f} {empty['p95']:5.1f} ms {empty['cpu_percent']:4.0f} %"
        f" {empty['lost']:4} lost"
        f"  over it {node['p50'] - empty['p50']:6.1f} {node['p95'] - empty['p95']:6.1f} ms"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RawText)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="for the figures")
    parser.add_argument("--kinds", nargs="+", default=KINDS, metavar="KIND", help=" ".join(KINDS))
    parser.add_argument(
        "--parameters", nargs="+", default=[], metavar="NAME:=VALUE", help="of the node"
    )
    args = parser.parse_args(argv)
    for kind in args.kinds:
        Kind.read(kind)
    os.environ.update(private_network())
    rclpy.init(args=[])
    options = [word for one in args.parameters for word in ("-p", one)]
    found = run_all(args.kinds, args.seconds, options)
    start = found["start"]
    print(
        f"start: {start['first_pose_s']:.2f} s to the first heads, {start['rss_mb']:.0f} MB "
        f"({start['model']} on {start['backend']}, {start['device']}, {start['precision']})"
    )
    if "idle" in found:
        print(f"idle: {found['idle']['cpu_percent']:.2f} % of a core")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
