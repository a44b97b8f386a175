# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: the fastest on x86 and Arm CPUs. An optional extra."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import DeviceError, ModelError
from headpose_core.pose.backends.backend import Request

# OpenVINO's converter, which ``import openvino`` loads when it can, reports every import to Intel.
_REPORTER = "openvino.tools.ovc"
# Files up to this size are compiled twice, for one face and for any number: a shape that is fixed
# saves 0.05 ms a call, which is much of a small network and nothing of a large one.
_SMALL_BYTES = 8_000_000
_PRECISIONS = {"auto": "f32", "fp32": "f32", "fp16": "f16", "bf16": "bf16"}


def import_openvino() -> Any:
    """The module ``openvino``, without its telemetry. DeviceError when it is not installed."""
    blocked = "openvino" not in sys.modules and _REPORTER not in sys.modules
    if blocked:
        sys.modules[_REPORTER] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError as error:
        raise DeviceError(
            f"expected OpenVINO to be installed, got '{error}': "
            "pip install 'headpose-ehpnet[cpu,openvino]'"
        ) from error
    finally:
        if blocked:
            del sys.modules[_REPORTER]  # who wants the converter can still have it
    return openvino


@cache
def _core() -> Any:
    """OpenVINO's entry, one for the process, never freed. DeviceError when it knows no CPU.

    It gives the thread that makes it a stack for signal handlers. Freed in another thread, it
    takes that stack along, and the next Ctrl-C ends the process with a segmentation fault.
    """
    core = import_openvino().Core()
    if not core.get_versions("CPU"):  # asked for all devices, it would load what runs each
        raise DeviceError(f"OpenVINO finds no CPU it knows, only {core.available_devices}")
    return core


def open_backend(request: Request) -> OpenVino:
    """Compile the model for this CPU. Raises ModelError when OpenVINO refuses it."""
    core = _core()
    options: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": request.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # two nodes would be pinned to the same core
        # Left to itself it takes bf16 on some processors: the same file would give other angles.
        "INFERENCE_PRECISION_HINT": _PRECISIONS[request.precision],
    }
    try:
        model = core.read_model(request.data)
        any_number = core.compile_model(model, "CPU", options)
        if len(request.data) > _SMALL_BYTES:
            return OpenVino(any_number, any_number)
        model.reshape([1, *model.inputs[0].partial_shape[1:]])
        return OpenVino(core.compile_model(model, "CPU", options), any_number)
    except Exception as error:  # RuntimeError, or what pybind makes of it
        raise ModelError(f"expected a valid ONNX model, OpenVINO says: {error}") from error


class OpenVino:
    """A compiled model, for one face and for any number of them; one thread at a time."""

    name = "openvino"
    device = "cpu"

    def __init__(self, one_face: Any, any_number: Any) -> None:
        hint = any_number.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.precision = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}.get(hint, hint)
        self._tensor = import_openvino().Tensor
        self._one_face, self._any_number = (
            compiled.create_infer_request() for compiled in (one_face, any_number)
        )

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits of crops. The GIL is free meanwhile."""
        request = self._one_face if len(crops) == 1 else self._any_number
        pixels = np.ascontiguousarray(crops)
        request.set_input_tensor(self._tensor(pixels, shared_memory=True))
        request.infer()  # without arguments: packing and unpacking them takes 0.03 ms
        return np.array(request.get_output_tensor().data, np.float32)
