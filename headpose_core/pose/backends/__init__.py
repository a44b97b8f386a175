# SPDX-License-Identifier: Apache-2.0
"""What runs the pose network: crops in, logits out, behind one small interface.

``open_backend`` tries, in order of preference, what the caller allows. Each backend is a module
that is imported only when it is tried, and each of them imports its runtime only then.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec

from headpose_core.errors import DeviceError
from headpose_core.pose.backends.backend import Backend, Request

# What each backend runs on, the fastest first.
DEVICES = {
    "onnxruntime": ("tensorrt", "cuda", "cpu"),
    "openvino": ("cpu",),
    "torch": ("cuda", "cpu"),
}
ALL_DEVICES = ("tensorrt", "cuda", "cpu")
PRECISIONS = ("auto", "fp32", "fp16", "bf16")


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
