# SPDX-License-Identifier: Apache-2.0
"""What runs the pose network: crops in, logits out, behind one small interface.

``open_backend`` tries, in order of preference, what the caller allows. Each backend is a module
that is imported only when it is tried, and each of them imports its runtime only then.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import DeviceError
from headpose_core.output_files import cache_folder

# What each backend runs on, the fastest first.
DEVICES = {
    "onnxruntime": ("tensorrt", "cuda", "cpu"),
    "openvino": ("cpu",),
    "torch": ("cuda", "cpu"),
}
ALL_DEVICES = ("tensorrt", "cuda", "cpu")
PRECISIONS = ("auto", "fp32", "fp16", "bf16")


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


def candidates(backend: str, device: str, fallback: bool) -> list[tuple[str, str]]:
    """Pairs (backend, device) to try, the best first.

    backend, device: a name or "auto". fallback: whether a slower device than ``device`` will do.
    TensorRT is for those who ask: its first start takes minutes. So is torch, which is large.
    Raises DeviceError for names that are unknown or do not go together.
    """
    if backend != "auto" and backend not in DEVICES:
        raise DeviceError(f"backend: expected auto, {', '.join(DEVICES)}, got '{backend}'")
    if device != "auto" and device not in ALL_DEVICES:
        raise DeviceError(f"device: expected auto, {', '.join(ALL_DEVICES)}, got '{device}'")
    if backend != "auto" and device not in ("auto", *DEVICES[backend]):
        raise DeviceError(
            f"device: backend '{backend}' runs on {', '.join(DEVICES[backend])}, got '{device}'"
        )
    devices = ALL_DEVICES[1:] if device == "auto" else ALL_DEVICES[ALL_DEVICES.index(device) :]
    if device != "auto" and not fallback:
        devices = (device,)
    backends = ("openvino", "onnxruntime") if backend == "auto" else (backend,)
    pairs = [(name, on) for on in devices for name in backends if on in DEVICES[name]]
    # Only what is asked for by name is an error when it is not installed.
    return [p for p in pairs if backend != "auto" or p[0] != "openvino" or find_spec(p[0])]


def open_backend(name: str, request: Request) -> Backend:
    """Open one backend. DeviceError: it or its device cannot be had; ModelError: a bad file."""
    module = importlib.import_module(f"headpose_core.pose.backends.{name}")
    opened: Backend = module.open_backend(request)
    return opened


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
