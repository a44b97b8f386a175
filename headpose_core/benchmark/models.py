# SPDX-License-Identifier: Apache-2.0
"""Pose networks against each other: every file on every backend, and peers, in the same run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headpose_core.benchmark.floors import Floors, multiply_adds
from headpose_core.benchmark.timing import interleaved
from headpose_core.errors import DeviceError, ModelError
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.model_file import INPUT, INPUT_SHAPE


@dataclass(frozen=True)
class Result:
    """One network on one backend.

    ms_per_face: of the quickest call; median_ms: of the middle one, a face. floor_ms: what its
    multiply-adds take at the peak of as many cores as threads; NaN where that is not known.
    """

    model: str
    backend: str
    precision: str
    threads: int
    batch: int
    ms_per_face: float
    median_ms: float
    floor_ms: float

    def record(self) -> dict[str, Any]:
        """As JSON; what is not known is null."""
        return {**asdict(self), "floor_ms": None if math.isnan(self.floor_ms) else self.floor_ms}


class Contestant(Protocol):
    """What can be timed: ours and peers."""

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Entry:
    """A network that is ready to be timed. side: of its crops [px]."""

    model: str
    backend: str
    precision: str
    threads: int
    network: Contestant
    side: int
    multiply_adds: float


def open_entries(
    files: Sequence[Path],
    backends: Sequence[str],
    device: str,
    precisions: Sequence[str],
    threads: int,
    say: Callable[[str], None],
) -> list[Entry]:
    """Every file on every backend in every precision; what cannot be had is said and left out."""
    entries = []
    for file in files:
        crop = np.zeros((1, *INPUT_SHAPE), np.uint8)
        # The floor is that of a processor's core; a card's is not known.
        work = multiply_adds(file.read_bytes(), {INPUT: crop}) if device == "cpu" else math.nan
        for backend in backends:
            for precision in precisions:
                try:
                    model = HeadPoseModel.load(
                        file,
                        device=device,
                        backend=backend,
                        threads=threads,
                        precision=precision,
                        allow_cpu_fallback=False,
                        progress=say,
                    )
                except (DeviceError, ModelError) as error:
                    say(f"left out: {file.stem} on {backend} in {precision}: {error}")
                    continue
                if model.precision == "int8" and precision != precisions[0]:
                    continue  # the same once more
                name = f"{backend}" if model.device == "cpu" else f"{backend} {model.device}"
                told = (file.stem, name, model.precision, threads, model, INPUT_SHAPE[0], work)
                entries.append(Entry(*told))
    return entries


def measure_models(
    entries: Sequence[Entry], batches: Sequence[int], floors: Floors, seconds: float
) -> list[Result]:
    """Time all networks in turns, for each batch size ``seconds`` in all."""
    results = []
    for batch in batches:
        crops = {side: _crops(batch, side) for side in {entry.side for entry in entries}}
        work = {i: _call(entry, crops[entry.side]) for i, entry in enumerate(entries)}
        for i, timing in interleaved(work, seconds).items():
            entry = entries[i]
            floor = floors.compute_ms(entry.multiply_adds, entry.precision, entry.threads)
            ours = (entry.model, entry.backend, entry.precision, entry.threads, batch)
            results.append(Result(*ours, timing.best / batch, timing.median / batch, floor))
    return results


def _call(entry: Entry, crops: NDArray[np.uint8]) -> Callable[[], object]:
    return lambda: entry.network.infer(crops)


def _crops(count: int, side: int) -> NDArray[np.uint8]:
    """Noise: the time does not depend on what is to be seen."""
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
