# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: on every CPU, and on NVIDIA GPUs by CUDA or TensorRT. The default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import DeviceError
from headpose_core.onnx_files.sessions import import_onnxruntime, open_session
from headpose_core.pose.backends.backend import Backend, NoSuchDeviceError, Request
from headpose_core.pose.backends.onnxruntime_gpu import PROVIDERS, open_on_gpu
from headpose_core.pose.model_file import INPUT, OUTPUT

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def open_backend(request: Request) -> Backend:
    """A session on the device that is asked for, on no other.

    Raises DeviceError when this ONNX Runtime does not have the device or cannot use it; ModelError
    when it refuses the file.
    """
    if request.device != "cpu":
        available = import_onnxruntime().get_available_providers()
        wanted = PROVIDERS[request.device][0]
        if wanted not in available:
            raise NoSuchDeviceError(
                f"this ONNX Runtime has {', '.join(available)}, not {wanted}: "
                "pip install 'headpose-ehpnet[gpu]' with the driver it needs"
            )
        return open_on_gpu(request)
    if request.precision not in ("auto", "fp32"):
        raise DeviceError(
            f"precision: ONNX Runtime on a CPU computes in fp32, got {request.precision}"
        )
    return OnnxRuntimeCpu(open_session(request.data, threads=request.threads))


class OnnxRuntimeCpu:
    """A session on the CPU, where any number of faces costs what it costs."""

    name, device, precision = "onnxruntime", "cpu", "fp32"

    def __init__(self, session: InferenceSession) -> None:
        self._session = session

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits of crops. The GIL is free meanwhile."""
        (logits,) = self._session.run([OUTPUT], {INPUT: crops})
        return np.asarray(logits, np.float32)
