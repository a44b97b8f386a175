# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on NVIDIA GPUs: CUDA with its graphs and in float16, and TensorRT."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import DeviceError
from headpose_core.onnx_files.half_precision import to_half_precision
from headpose_core.onnx_files.onnx_file import describe
from headpose_core.onnx_files.sessions import import_onnxruntime, open_session
from headpose_core.pose.backends.backend import Request, batch_sizes
from headpose_core.pose.backends.engine_cache import engine_folder
from headpose_core.pose.backends.gpu_errors import with_remedy
from headpose_core.pose.model_file import INPUT, INPUT_SHAPE, OUTPUT, OUTPUT_SHAPE

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# Execution providers of each device: those behind the first run what it does not know.
PROVIDERS = {
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
}
# A GPU picks its kernels, and TensorRT sizes its engine, for each of these once.
POOL = (1, 2, 4, 8, 16, 32, 64)
# Seconds after which the start says how far it is.
_LONG_S = 2.0
_GRAPHS = {"enable_cuda_graph": "1"}


def open_on_gpu(request: Request) -> OnnxRuntimeGpu:
    """A session on the GPU, in the fastest way that works there.

    Raises DeviceError, with what helps, when none does.
    """
    available = import_onnxruntime().get_available_providers()
    wanted, *others = (name for name in PROVIDERS[request.device] if name in available)
    precision = gpu_precision(request)
    ways = cuda_ways(request) if request.device == "cuda" else [tensorrt_options(request)]
    _preload(request.device)
    convert = request.device == "cuda" and precision == "fp16"
    data = to_half_precision(request.data) if convert else request.data
    problem = ""
    for options in ways:
        opened = _tried(data, [(wanted, options), *others], precision, request)
        if isinstance(opened, OnnxRuntimeGpu):
            return opened
        problem = opened
    raise DeviceError(f"ONNX Runtime cannot use {wanted}: {problem}")


def _tried(
    data: bytes, providers: list[Any], precision: str, request: Request
) -> OnnxRuntimeGpu | str:
    """A session that has run with these providers, or why it does not."""
    wanted, options = providers[0]
    try:
        session = open_session(data, providers=providers)
        got = session.get_providers()[0]
        if got == wanted:
            graphs = options.items() >= _GRAPHS.items()
            backend = OnnxRuntimeGpu(session, request.device, precision, graphs=graphs)
            backend.warm_up(request)
            return backend
    except Exception as error:  # of ONNX Runtime and CUDA, which have no common base
        return with_remedy(error)
    # ONNX Runtime drops silently what it cannot load, whatever its options.
    raise DeviceError(
        f"ONNX Runtime cannot load {wanted}, it fell back to {got}: "
        "the driver, CUDA, cuDNN or TensorRT is missing or of another version"
    )


class OnnxRuntimeGpu:
    """A session on a GPU with buffers of its own there, one pair for each batch size.

    graphs: record each size of batch as one launch; ONNX Runtime does so once in each thread.
    """

    name = "onnxruntime"
    memory = "cuda"  # where the buffers are

    def __init__(
        self, session: InferenceSession, device: str, precision: str, *, graphs: bool = False
    ) -> None:
        self.device = device
        self.precision = precision
        self.graphs = graphs
        self._session = session
        self._batches: dict[int, _Batch] = {}

    def warm_up(self, request: Request) -> None:
        """Run what takes long for the first time: TensorRT builds its engine, for all sizes of
        batch; CUDA tries kernels for one face, and for more when they come. Says how far it is."""
        if self.device == "tensorrt":
            request.say(
                "TensorRT: building the engine for this GPU; without one in "
                f"{request.cache_dir} this takes minutes"
            )
        sizes = POOL if self.device == "tensorrt" else POOL[:1]
        begun_s = time.monotonic()
        for done, size in enumerate(sizes, 1):
            self.infer(np.zeros((size, *INPUT_SHAPE), np.uint8))
            if time.monotonic() - begun_s > _LONG_S:
                request.say(f"{self.device}: warm-up {done} of {len(sizes)}, {size} faces at once")

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits of crops; a batch is filled up to the next size of the pool."""
        parts = [
            self._run(crops[start:stop], size)
            for start, stop, size in batch_sizes(len(crops), POOL)
        ]
        return np.concatenate(parts)

    def _run(self, crops: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
        batch = self._batches.get(size) or self._bind(size)
        batch.pixels[: len(crops)] = crops
        batch.pixels_there.update_inplace(batch.pixels)
        self._session.run_with_iobinding(batch.binding, batch.options)
        return np.array(batch.binding.copy_outputs_to_cpu()[0][: len(crops)], np.float32)

    def _bind(self, size: int) -> _Batch:
        """Buffers for one batch size, bound to input and output: a graph knows their addresses."""
        ort = import_onnxruntime()
        pixels = np.zeros((size, *INPUT_SHAPE), np.uint8)
        there = ort.OrtValue.ortvalue_from_numpy(np.zeros_like(pixels), self.memory, 0)
        logits = ort.OrtValue.ortvalue_from_shape_and_type(
            (size, *OUTPUT_SHAPE), np.float32, self.memory, 0
        )
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(INPUT, there)
        binding.bind_ortvalue_output(OUTPUT, logits)
        options = ort.RunOptions()
        if self.graphs:
            options.add_run_config_entry("gpu_graph_id", str(size))
        self._batches[size] = _Batch(pixels, there, binding, options)
        return self._batches[size]


@dataclass
class _Batch:
    """One size of batch: its pixels here and on the GPU, and what runs it there."""

    pixels: NDArray[np.uint8]
    pixels_there: Any
    binding: Any
    options: Any


def gpu_precision(request: Request) -> str:
    """What a float network is computed in. DeviceError for what the device does not have."""
    quantised = "QuantizeLinear" in describe(request.data).operators
    has = ("fp32",) if quantised and request.device == "cuda" else ("fp16", "fp32")
    wanted = has[0] if request.precision == "auto" else request.precision
    if wanted not in has:
        file = " of an int8 file" if quantised else ""
        raise DeviceError(
            f"precision: ONNX Runtime on '{request.device}' computes the float layers{file} in "
            f"{' or '.join(has)}, got {request.precision}"
        )
    return wanted


def cuda_ways(request: Request) -> list[dict[str, str]]:
    """Options of the CUDA provider, the fastest first; not every build and network has all.

    None of them names the device: with `device_id` ONNX Runtime looks for a plugin that has it,
    and warns that there is none.
    """
    # Kernels are picked by trying, once for each batch size. Memory is taken as it is needed, not
    # twice as much each time.
    plain = {"cudnn_conv_algo_search": "EXHAUSTIVE", "arena_extend_strategy": "kSameAsRequested"}
    if request.precision == "fp32":  # "auto" may round to TF32 where it is not fp16
        plain["use_tf32"] = "0"
    graphs = {**plain, **_GRAPHS}
    if gpu_precision(request) == "fp16":
        return [{**graphs, "prefer_nhwc": "1"}, graphs, plain]  # as tensor cores want channels
    return [graphs, plain]


def tensorrt_options(request: Request) -> dict[str, str]:
    """Options of the TensorRT provider: one engine for all batch sizes, kept with its timings."""
    folder = str(engine_folder(request.cache_dir, request.data))
    shape = "x".join(map(str, INPUT_SHAPE))
    return {
        "trt_fp16_enable": str(gpu_precision(request) == "fp16"),
        "trt_int8_enable": str("QuantizeLinear" in describe(request.data).operators),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": folder,
        "trt_profile_min_shapes": f"{INPUT}:{POOL[0]}x{shape}",
        "trt_profile_opt_shapes": f"{INPUT}:8x{shape}",
        "trt_profile_max_shapes": f"{INPUT}:{POOL[-1]}x{shape}",
    }


def _preload(device: str) -> None:
    """Load the libraries that pip installed: they are on no search path."""
    ort = import_onnxruntime()
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    if device == "tensorrt":
        with contextlib.suppress(ImportError):  # then it has to be on the search path
            import tensorrt  # noqa: F401 (loads libnvinfer)
