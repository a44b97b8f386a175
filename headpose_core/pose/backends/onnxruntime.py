# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: on every CPU, and on NVIDIA GPUs by CUDA or TensorRT. The default."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import DeviceError
from headpose_core.onnx_files.onnx_file import describe
from headpose_core.onnx_files.sessions import import_onnxruntime, open_session
from headpose_core.pose.backends.backend import (
    Backend,
    NoSuchDeviceError,
    Request,
    batch_sizes,
)
from headpose_core.pose.backends.engine_cache import engine_folder
from headpose_core.pose.model_file import INPUT, INPUT_SHAPE, OUTPUT, OUTPUT_SHAPE

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# Execution providers of each device: those behind the first run what it does not know.
_PROVIDERS = {
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "cpu": ("CPUExecutionProvider",),
}
# A GPU picks its kernels, and TensorRT sizes its engine, for each of these once, at the start.
POOL = (1, 2, 4, 8, 16, 32, 64)
# Seconds after which the start says how far it is.
_LONG_S = 2.0


def open_backend(request: Request) -> Backend:
    """A session on the device that is asked for, on no other.

    Raises DeviceError when this ONNX Runtime does not have the device or cannot use it; ModelError
    when it refuses the file.
    """
    wanted = _PROVIDERS[request.device]
    ort = import_onnxruntime()
    available = ort.get_available_providers()
    if wanted[0] not in available:
        raise NoSuchDeviceError(
            f"this ONNX Runtime has {', '.join(available)}, not {wanted[0]}: "
            "pip install 'headpose-ehpnet[gpu]' with the driver it needs"
        )
    if request.device == "cpu":
        _only(request, "fp32")
        return OnnxRuntimeCpu(open_session(request.data, threads=request.threads))
    _preload(ort, request.device)
    options = tensorrt_options(request) if request.device == "tensorrt" else cuda_options(request)
    rest = (name for name in wanted[1:] if name in available)
    providers: list[str | tuple[str, dict[str, str]]] = [(wanted[0], options), *rest]
    session = open_session(request.data, providers=providers)
    if session.get_providers()[0] != wanted[0]:  # ONNX Runtime drops silently what it cannot load
        raise DeviceError(
            f"ONNX Runtime cannot load {wanted[0]}, it fell back to {session.get_providers()[0]}: "
            "the driver, CUDA, cuDNN or TensorRT is missing or of another version"
        )
    precision = "fp32" if request.device == "cuda" else _tensorrt_precision(request)
    backend = OnnxRuntimeGpu(session, request.device, precision)
    backend.warm_up(request)
    return backend


class OnnxRuntimeCpu:
    """A session on the CPU, where any number of faces costs what it costs."""

    name, device, precision = "onnxruntime", "cpu", "fp32"

    def __init__(self, session: InferenceSession) -> None:
        self._session = session

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits of crops. The GIL is free meanwhile."""
        (logits,) = self._session.run([OUTPUT], {INPUT: crops})
        return np.asarray(logits, np.float32)


class OnnxRuntimeGpu:
    """A session on a GPU with buffers of its own there, one pair for each batch size.

    memory: where the buffers are, "cuda" or, in tests, "cpu".
    """

    name = "onnxruntime"

    def __init__(
        self, session: InferenceSession, device: str, precision: str, memory: str = "cuda"
    ) -> None:
        self.device = device
        self.precision = precision
        self._session = session
        self._memory = memory
        self._bound: dict[int, tuple[Any, Any]] = {}

    def warm_up(self, request: Request) -> None:
        """Run every batch size once: TensorRT builds engines, CUDA tries kernels. Says how far it
        is where that takes long."""
        if self.device == "tensorrt":
            request.say(
                "TensorRT: building the engine for this GPU; without one in "
                f"{request.cache_dir} this takes minutes"
            )
        begun_s = time.monotonic()
        for done, size in enumerate(POOL, 1):
            self.infer(np.zeros((size, *INPUT_SHAPE), np.uint8))
            if time.monotonic() - begun_s > _LONG_S:
                request.say(f"{self.device}: warm-up {done} of {len(POOL)}, {size} faces at once")

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits of crops; a batch is filled up to the next size of the pool."""
        parts = [
            self._run(crops[start:stop], size)
            for start, stop, size in batch_sizes(len(crops), POOL)
        ]
        return np.concatenate(parts)

    def _run(self, crops: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
        binding, into = self._bound.get(size) or self._bind(size)
        batch = crops
        if len(crops) < size:
            batch = np.zeros((size, *INPUT_SHAPE), np.uint8)
            batch[: len(crops)] = crops
        into.update_inplace(np.ascontiguousarray(batch))
        self._session.run_with_iobinding(binding)
        return np.asarray(binding.copy_outputs_to_cpu()[0][: len(crops)], np.float32)

    def _bind(self, size: int) -> tuple[Any, Any]:
        """Buffers on the device for one batch size, bound to input and output."""
        value = import_onnxruntime().OrtValue
        into = value.ortvalue_from_numpy(np.zeros((size, *INPUT_SHAPE), np.uint8), self._memory, 0)
        out = value.ortvalue_from_shape_and_type(
            (size, *OUTPUT_SHAPE), np.float32, self._memory, 0
        )
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(INPUT, into)
        binding.bind_ortvalue_output(OUTPUT, out)
        self._bound[size] = (binding, into)
        return self._bound[size]


def cuda_options(request: Request) -> dict[str, str]:
    """Options of the CUDA provider. DeviceError for a precision that it does not have."""
    _only(request, "fp32")
    # Kernels are picked by trying, once for each batch size; "auto" may round to TF32, fp32 not.
    tf32 = {"use_tf32": "0"} if request.precision == "fp32" else {}
    return {"device_id": "0", "cudnn_conv_algo_search": "EXHAUSTIVE", **tf32}


def tensorrt_options(request: Request) -> dict[str, str]:
    """Options of the TensorRT provider: one engine for all batch sizes, kept with its timings."""
    folder = str(engine_folder(request.cache_dir, request.data))
    shape = "x".join(map(str, INPUT_SHAPE))
    return {
        "device_id": "0",
        "trt_fp16_enable": str(_tensorrt_precision(request) == "fp16"),
        "trt_int8_enable": str("QuantizeLinear" in describe(request.data).operators),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": folder,
        "trt_profile_min_shapes": f"{INPUT}:{POOL[0]}x{shape}",
        "trt_profile_opt_shapes": f"{INPUT}:8x{shape}",
        "trt_profile_max_shapes": f"{INPUT}:{POOL[-1]}x{shape}",
    }


def _tensorrt_precision(request: Request) -> str:
    if request.precision == "bf16":
        raise DeviceError("precision: TensorRT runs this network in fp16 or fp32, got bf16")
    return "fp32" if request.precision == "fp32" else "fp16"


def _only(request: Request, precision: str) -> None:
    if request.precision not in ("auto", precision):
        raise DeviceError(
            f"precision: ONNX Runtime on '{request.device}' computes in {precision}, "
            f"got {request.precision}"
        )


def _preload(ort: Any, device: str) -> None:
    """Load the libraries that pip installed: they are on no search path."""
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    if device == "tensorrt":
        with contextlib.suppress(ImportError):  # then it has to be on the search path
            import tensorrt  # noqa: F401 (loads libnvinfer)
