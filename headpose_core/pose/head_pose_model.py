# SPDX-License-Identifier: Apache-2.0
"""The pose network at run time: a model file to a function from face crops to logits."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.errors import DeviceError, ModelError
from headpose_core.images.crop import crop_faces, crop_windows
from headpose_core.images.image_view import ImageView
from headpose_core.onnx_files.onnx_file import describe, read_model_file
from headpose_core.output_files import cache_folder
from headpose_core.pose.backends import PRECISIONS, candidates, open_backend
from headpose_core.pose.backends.backend import Backend, NoSuchDeviceError, Request
from headpose_core.pose.bins import decode
from headpose_core.pose.model_file import (
    INPUT_SHAPE,
    OUTPUT_SHAPE,
    ModelMetadata,
    check_logits,
    check_signature,
)
from headpose_core.pose.pose_model import Estimate
from headpose_core.pose.shipped import ChosenModel, chosen_model
from headpose_core.pose.turns import turn_probabilities
from headpose_core.types import FloatArray


class HeadPoseModel:
    """A loaded pose network, made by ``HeadPoseModel.load``.

    metadata: what the file says about itself.
    backend_asked, device_asked: "auto" or a name. backend, device: those in use.
    precision: "int8" for a quantised file, else that of the computation, as "fp32".
    chosen: the file, and why it was taken.
    rejected_backends: why each better choice was not taken, a sentence each.
    """

    def __init__(
        self,
        backend: Backend,
        metadata: ModelMetadata,
        *,
        backend_asked: str,
        device_asked: str,
        chosen: ChosenModel,
        quantised: bool = False,
        rejected_backends: tuple[str, ...] = (),
    ) -> None:
        self.metadata = metadata
        self.backend_asked, self.device_asked = backend_asked, device_asked
        self.backend, self.device = backend.name, backend.device
        self.precision = "int8" if quantised else backend.precision
        self.chosen = chosen
        self.rejected_backends = rejected_backends
        self._backend = backend

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        backend: str = "auto",
        threads: int = 1,
        precision: str = "auto",
        allow_cpu_fallback: bool = True,
        engine_cache_dir: str | os.PathLike[str] | None = None,
        progress: Callable[[str], None] = lambda message: None,
    ) -> HeadPoseModel:
        """Load a model by path or by the name of a shipped one, by default ehpnet_resnet18, in
        int8 on processors that are made for it.

        device: "auto" (CUDA where it works, else the CPU), "cpu", "cuda" or "tensorrt".
        backend: "auto" (on a CPU OpenVINO where it is installed, else ONNX Runtime),
        "onnxruntime", "openvino" or "torch". threads: on the CPU, 1 or more.
        precision: of a float network, "auto" (fp32 on a CPU, so that every machine gives the same
        angles; fp16 on a GPU, within 0.05 degrees of it), "fp32", "fp16" or "bf16".
        allow_cpu_fallback: whether the next best device will do when ``device`` cannot be had.
        engine_cache_dir: where TensorRT's engines are kept, by default ~/.cache/headpose.
        progress: is told what takes long.
        Raises ModelError for a file that is missing, broken or against the contract of
        ``model_file``; DeviceError when the device, the backend or its runtime is not there.
        """
        if threads < 1:
            raise ValueError(f"threads: expected at least 1, got {threads}")
        if precision not in PRECISIONS:
            raise ValueError(f"precision: expected {', '.join(PRECISIONS)}, got '{precision}'")
        choices = candidates(backend, device, allow_cpu_fallback)
        cache = cache_folder() if engine_cache_dir is None else Path(engine_cache_dir)
        request = Request(b"", device, threads, precision, cache, progress)
        opened, file, rejected_backends = _first_that_works(choices, path, request)
        _give_memory_back()
        return cls(
            opened,
            file.metadata,
            backend_asked=backend,
            device_asked=device,
            chosen=file.chosen,
            quantised=file.quantised,
            rejected_backends=rejected_backends,
        )

    def crop(self, view: ImageView, boxes: ArrayLike) -> NDArray[np.uint8]:
        """Crops (N, 112, 112, 3) uint8 of face boxes (N, 4), made as the model was trained."""
        windows = crop_windows(boxes, self.metadata.crop, self.metadata.crop_scale)
        return crop_faces(view, windows)

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits (N, 3, 62) float32, yaw, pitch, roll, of crops (N, 112, 112, 3) uint8 RGB.

        Raises DeviceError when the device fails at it, or returns what is not finite.
        """
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != INPUT_SHAPE:
            raise ValueError(
                f"expected crops as (N, {', '.join(map(str, INPUT_SHAPE))}) uint8, "
                f"got {crops.shape} {crops.dtype}"
            )
        if not len(crops):  # an image without a face; not every provider takes an empty batch
            return np.empty((0, *OUTPUT_SHAPE), np.float32)
        try:
            logits = self._backend.infer(crops)
        except Exception as error:  # the errors of the runtimes have no common base
            raise DeviceError(f"{self.backend} on {self.device}: {error}") from error
        if not np.isfinite(logits).all():
            raise DeviceError(
                f"{self.backend} on {self.device}: returned values that are not finite"
            )
        return logits

    def turn_probabilities(self, outputs: NDArray[np.float32]) -> FloatArray | None:
        """How likely each crop is upright after 0, 1, 2 and 3 clockwise quarter turns, (N, 4), by
        its logits; None where the model file does not say how to tell."""
        turns = self.metadata.turns
        return None if turns is None else turn_probabilities(outputs, turns)

    def decode(self, outputs: NDArray[np.float32]) -> Estimate:
        """Angles and calibrated spreads of logits (N, 3, 62)."""
        return decode(outputs, self.metadata.temperature)


def _give_memory_back() -> None:
    """Return to the system what loading took and freed: glibc keeps it, 80 MB for a ResNet18."""
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True)
class _File:
    """A model file that was read, and what it says about itself."""

    chosen: ChosenModel
    data: bytes
    metadata: ModelMetadata
    quantised: bool

    @classmethod
    def read(cls, chosen: ChosenModel) -> _File:
        """Raises ModelError, with its path, for a file that is broken or against the contract."""
        data = read_model_file(chosen.path)
        try:
            description = describe(data)
            check_signature(description)
            metadata = ModelMetadata.from_properties(description.properties)
        except ModelError as error:
            raise ModelError(f"{chosen.path}: {error}") from error
        return cls(chosen, data, metadata, "QuantizeLinear" in description.operators)

    def opened(self, backend: str, request: Request) -> Backend:
        """Ready to run, after a first one. DeviceError: it cannot be had; ModelError: the file."""
        try:
            opened = open_backend(backend, replace(request, data=self.data))
            black = np.zeros((1, *INPUT_SHAPE), np.uint8)
            check_logits(opened.infer(black).shape, len(black))
        except ModelError as error:
            raise ModelError(f"{self.chosen.path}: {error}") from error
        return opened


def _first_that_works(
    choices: list[tuple[str, str]], given: str | os.PathLike[str] | None, request: Request
) -> tuple[Backend, _File, tuple[str, ...]]:
    """The first backend that opens its file, and why those before it did not.

    Raises DeviceError when none does, ModelError when a file is at fault.
    """
    reasons: list[str] = []
    file: _File | None = None
    for name, device in choices:
        chosen = chosen_model(given, name, device, request.precision)
        if file is None or file.chosen.path != chosen.path:
            file = _File.read(chosen)
        try:
            opened = file.opened(name, replace(request, device=device))
        except NoSuchDeviceError as error:
            if request.device != "auto":
                reasons.append(f"{name} on {device}: {error}")
        except DeviceError as error:
            reasons.append(f"{name} on {device}: {error}")
        else:
            return opened, replace(file, chosen=chosen), tuple(reasons)
    raise DeviceError(
        f"device: asked for '{request.device}', cannot be had:\n  " + "\n  ".join(reasons)
    )
