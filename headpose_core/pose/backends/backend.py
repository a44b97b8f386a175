# SPDX-License-Identifier: Apache-2.0
"""What every backend is: the request that it opens, the crops that it turns into logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import DeviceError
from headpose_core.output_files import cache_folder


class NoSuchDeviceError(DeviceError):
    """The runtime was never made for this device: no fault where nobody asked for it by name."""


class Backend(Protocol):
    """A network that is ready to run.

    name: of the backend. device: the one in use. precision: that of its float layers.
    """

    name: str
    device: str
    precision: str

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits (N, 3, 62) float32 of crops (N, 112, 112, 3) uint8 RGB, N at least 1."""
        ...


@dataclass(frozen=True)
class Request:
    """What is asked of a backend.

    data: the model file. device: as in DEVICES. threads: on a CPU. precision: of the float layers,
    "auto" for fp32 on a CPU and what is usual on a GPU. cache_dir: where what was built for a GPU
    is kept. say: gets a sentence when something takes long.
    """

    data: bytes = field(repr=False)
    device: str = "cpu"
    threads: int = 1
    precision: str = "auto"
    cache_dir: Path = field(default_factory=cache_folder)
    say: Callable[[str], None] = lambda message: None


def batch_sizes(count: int, pool: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Cut ``count`` faces into batches of fixed sizes: (start, stop, size) with size in ``pool``.

    pool: ascending. The last batch may be larger than what is left for it.
    """
    largest = pool[-1]
    starts = range(0, count, largest)
    stops = [min(start + largest, count) for start in starts]
    return [
        (start, stop, next(size for size in pool if size >= stop - start))
        for start, stop in zip(starts, stops, strict=True)
    ]
