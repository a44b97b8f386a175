# SPDX-License-Identifier: Apache-2.0
"""The figures of ``headpose bench`` as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headpose_core.benchmark.floors import Floors
from headpose_core.benchmark.machine import machine
from headpose_core.benchmark.models import Result
from headpose_core.benchmark.stages import FRAME_STAGES, TOTAL, Stage


def print_tables(
    results: Sequence[Result],
    stages: Sequence[Stage],
    start: dict[str, float],
    floors: Floors,
    network: str,
) -> None:
    """Everything on standard output. network: what ran the frames, in words."""
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(
        f"one core's peak: {floors.fp32 / 1e6:.0f} (fp32) and {floors.int8 / 1e6:.0f} (int8) "
        f"GMAC/s; it copies {floors.copy / 1e6:.1f} GB/s\n"
    )
    print(f"{'network':<24} {'backend':<18} {'':<5} threads batch  ms a face  speed  over floor")
    for r in results:
        speed = results[0].ms_per_face / r.ms_per_face
        over = f"{r.ms_per_face / r.floor_ms:11.2f}" if r.floor_ms > 0 else ""
        name = f"{r.model:<24} {r.backend:<18} {r.precision:<5} {r.threads:>7} {r.batch:>5}"
        print(f"{name} {r.ms_per_face:10.3f} {speed:5.1f}x {over}")
    print(f"\nframes, with {network}")
    for stage in stages:
        if stage.stage == FRAME_STAGES[0]:
            print(f"\n{stage.width}x{stage.height}, faces: {stage.faces}")
        over = f"{stage.ratio:7.1f} x floor" if stage.ratio else ""
        cpu = f", processor {stage.cpu_ms:.2f} ms" if stage.cpu_ms else ""
        print(f"  {stage.stage:<8} {stage.ms:8.2f} ms {stage.share:6.1%} {over}{cpu}")
    print(f"\n{summary(results, stages, start)}")


def in_words(network: Mapping[str, Any]) -> str:
    """What ran the frames: the record of ``headpose bench --json``."""
    threads = f", {network['threads']} threads" if network["threads"] > 1 else ""
    where = f"{network['device']}, {network['precision']}{threads}"
    return f"{network['model']} on {network['backend']} ({where})"


def summary(results: Sequence[Result], stages: Sequence[Stage], start: dict[str, float]) -> str:
    """What one remembers: faces a second, processor time of a frame, start and memory."""
    fastest = min(results, key=lambda result: result.ms_per_face)
    frame = next(s for s in stages if (s.stage, s.width, s.faces) == (TOTAL, 1280, 1))
    return (
        f"{1e3 / fastest.ms_per_face:.0f} faces a second on {fastest.threads} thread(s) "
        f"({fastest.model} on {fastest.backend}, {fastest.batch} at once)\n"
        f"{frame.cpu_ms:.1f} ms of processor time for a 720p frame with one face\n"
        f"{start['first_pose_s']:.2f} s from the start of the process to the first pose, "
        f"{start['rss_mb']:.0f} MB of memory at most"
    )
