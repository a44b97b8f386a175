# SPDX-License-Identifier: Apache-2.0
"""PyTorch, with the weights of the same model file: CUDA graphs on a GPU. For those who ask.

The only place of inference that imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import DeviceError
from headpose_core.pose.backends.backend import NoSuchDeviceError, Request, batch_sizes
from headpose_core.pose.backends.gpu_errors import with_remedy
from headpose_core.pose.model_file import INPUT_SHAPE, OUTPUT_SHAPE

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
        why = "finds no CUDA device" if torch.version.cuda else "is built for CPUs only"
        raise NoSuchDeviceError(
            f"torch {torch.__version__} {why}: nvidia-smi should show a GPU, and "
            "pytorch.org/get-started says how to install torch with CUDA"
        )
    network = read_network(request.data)
    if request.device == "cuda":
        precision = "fp16" if request.precision == "auto" else request.precision
        try:
            return TorchCuda(network, precision)
        except RuntimeError as error:  # of CUDA
            raise DeviceError(f"torch cannot use the GPU: {with_remedy(error)}") from error
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


class Gpu:
    """What is asked of CUDA. In tests a processor stands in for it."""

    name = "cuda"

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._pool = torch.cuda.graph_pool_handle()  # one batch at a time: they share memory

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Memory of the host that the GPU copies from and to by itself."""
        return self._torch.empty(shape, dtype=dtype, pin_memory=True)

    def captured(self, run: Callable[[], None]) -> Callable[[], None]:
        """A function as one launch. It is run before, while which its kernels are picked."""
        cuda = self._torch.cuda
        side = cuda.Stream()
        side.wait_stream(cuda.current_stream())
        with cuda.stream(side):
            for _ in range(3):
                run()
        cuda.current_stream().wait_stream(side)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph, pool=self._pool):
            run()
        replay: Callable[[], None] = graph.replay
        return replay

    def wait(self) -> None:
        """Until everything that was launched is done."""
        self._torch.cuda.current_stream().synchronize()


@dataclass
class _Batch:
    """One size of batch: its memory here and on the GPU, and what computes it there."""

    pixels: torch.Tensor
    pixels_there: torch.Tensor
    logits_there: torch.Tensor
    logits: torch.Tensor
    run: Callable[[], None]


class TorchCuda:
    """A network as CUDA graphs: one launch a batch, no allocation, pinned memory at both ends."""

    name, device = "torch", "cuda"

    def __init__(self, network: HeadPoseNet, precision: str, gpu: Gpu | None = None) -> None:
        import torch

        self._torch = torch
        self._gpu = gpu or Gpu()
        self.precision = precision
        self._autocast = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
        if self._autocast:  # else the weights are converted again for every batch
            network.backbone.to(self._autocast)
            network.classifiers.to(self._autocast)
        self._network = network.to(self._gpu.name, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._batches: dict[int, _Batch] = {}
        self._capture(1)  # now, not at the first image

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits of crops."""
        parts = [
            self._run(crops[start:stop], size)
            for start, stop, size in batch_sizes(len(crops), POOL)
        ]
        return np.concatenate(parts)

    def _run(self, crops: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
        batch, count = self._batches.get(size) or self._capture(size), len(crops)
        batch.pixels.numpy()[:count] = crops
        batch.pixels_there[:count].copy_(batch.pixels[:count], non_blocking=True)
        batch.run()
        batch.logits[:count].copy_(batch.logits_there[:count], non_blocking=True)
        self._gpu.wait()
        return np.array(batch.logits[:count].numpy())

    def _capture(self, size: int) -> _Batch:
        """Record the network for one batch size."""
        torch, gpu = self._torch, self._gpu
        batch = _Batch(
            gpu.pinned((size, *INPUT_SHAPE), torch.uint8),
            torch.zeros((size, *INPUT_SHAPE), dtype=torch.uint8, device=gpu.name),
            torch.zeros((size, *OUTPUT_SHAPE), device=gpu.name),
            gpu.pinned((size, *OUTPUT_SHAPE), torch.float32),
            lambda: None,
        )
        batch.run = gpu.captured(lambda: self._forward(batch))
        self._batches[size] = batch
        return batch

    def _forward(self, batch: _Batch) -> None:
        """Launch the network."""
        with (
            self._torch.inference_mode(),
            # cuDNN picks its kernels by trying. Each flag is given: this context switches off what
            # is not, cuDNN itself first of all. fp32 means fp32, not TF32.
            self._torch.backends.cudnn.flags(
                enabled=True, benchmark=True, deterministic=False, allow_tf32=False
            ),
            self._torch.autocast(self._gpu.name, self._autocast, enabled=bool(self._autocast)),
        ):
            batch.logits_there.copy_(self._network(batch.pixels_there))
