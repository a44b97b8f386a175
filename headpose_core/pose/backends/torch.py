# SPDX-License-Identifier: Apache-2.0
"""PyTorch, with the weights of the same model file: CUDA graphs on a GPU. For those who ask.

The only place of inference that imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import DeviceError
from headpose_core.pose.backends.backend import NoSuchDeviceError, Request, batch_sizes
from headpose_core.pose.model_file import INPUT_SHAPE

if TYPE_CHECKING:
    import torch

    from headpose_core.pose.networks.network import HeadPoseNet

# One CUDA graph for each; a batch in between is filled up.
POOL = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def open_backend(request: Request) -> TorchCpu | TorchCuda:
    """Build the network and load the weights.

    Raises DeviceError without PyTorch, or without CUDA where it is asked for; ModelError when the
    file is quantised or has none of the known backbones.
    """
    try:
        import torch

        from headpose_core.pose.networks.from_file import read_network  # needs safetensors
    except ImportError as error:
        raise DeviceError(
            f"expected PyTorch and safetensors to be installed, got '{error}': "
            "pip install torch safetensors"
        ) from error
    if request.device == "cuda" and not torch.cuda.is_available():
        raise NoSuchDeviceError(f"torch {torch.__version__} finds no CUDA device")
    network = read_network(request.data)
    if request.device == "cuda":
        return TorchCuda(network, "fp16" if request.precision == "auto" else request.precision)
    if request.precision not in ("auto", "fp32"):
        raise DeviceError(f"precision: torch on a CPU computes in fp32, got {request.precision}")
    torch.set_num_threads(request.threads)  # of the whole process: torch knows no other way
    return TorchCpu(network)


class TorchCpu:
    """A network in eager mode."""

    name, device, precision = "torch", "cpu", "fp32"

    def __init__(self, network: HeadPoseNet) -> None:
        import torch

        self._torch = torch
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits of crops."""
        with self._torch.inference_mode():
            logits = self._network(self._torch.from_numpy(np.ascontiguousarray(crops)))
        return np.asarray(logits.numpy(), np.float32)


class TorchCuda:
    """A network as CUDA graphs: one launch a batch, no allocation, pinned memory at both ends."""

    name, device = "torch", "cuda"

    def __init__(self, network: HeadPoseNet, precision: str) -> None:
        import torch

        self._torch = torch
        self.precision = precision
        self._autocast = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
        if self._autocast:  # else the weights are converted again for every batch
            network.backbone.to(self._autocast)
            network.classifiers.to(self._autocast)
        self._network = network.to("cuda", memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._graphs: dict[int, tuple[torch.Tensor, torch.Tensor, torch.cuda.CUDAGraph]] = {}
        self._capture(1)  # now, not at the first image

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits of crops."""
        parts = [
            self._replay(crops[start:stop], size)
            for start, stop, size in batch_sizes(len(crops), POOL)
        ]
        return np.concatenate(parts)

    def _replay(self, crops: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
        if size not in self._graphs:
            self._capture(size)
        into, out, graph = self._graphs[size]
        into[: len(crops)].copy_(self._torch.from_numpy(np.ascontiguousarray(crops)))
        graph.replay()
        return np.asarray(out[: len(crops)].cpu().numpy(), np.float32)

    def _capture(self, size: int) -> None:
        """Record the network for one batch size, after the runs in which it picks its kernels."""
        torch = self._torch
        into = torch.zeros((size, *INPUT_SHAPE), dtype=torch.uint8, device="cuda")
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._forward(into)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = self._forward(into)
        self._graphs[size] = (into, out, graph)

    def _forward(self, crops: torch.Tensor) -> torch.Tensor:
        with (
            self._torch.inference_mode(),
            # Kernels are picked by trying; fp32 means fp32, not TF32.
            self._torch.backends.cudnn.flags(benchmark=True, allow_tf32=False),
            self._torch.autocast("cuda", self._autocast, enabled=self._autocast is not None),
        ):
            logits: torch.Tensor = self._network(crops).float()
        return logits
