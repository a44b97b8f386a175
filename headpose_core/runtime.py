# SPDX-License-Identifier: Apache-2.0
"""The pose network at run time: a model file to a function from face crops to logits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.bins import Estimate, decode
from headpose_core.crop import crop_faces, square_boxes
from headpose_core.errors import DeviceError, ModelError
from headpose_core.model_file import (
    INPUT,
    INPUT_SHAPE,
    OUTPUT,
    OUTPUT_SHAPE,
    ModelMetadata,
    check_signature,
)
from headpose_core.onnx_file import read_model_file
from headpose_core.sessions import CPU_PROVIDER, import_onnxruntime, open_session
from headpose_core.types import Image

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = [
    "DEFAULT_MODEL",
    "DeviceError",
    "HeadPoseModel",
    "ModelError",
    "ModelMetadata",
    "PoseModel",
]

DEFAULT_MODEL = Path(__file__).parent / "weights" / "ehpnet_resnet18.onnx"

# ONNX Runtime's execution providers per device, in the order in which it shall try them.
_PROVIDERS = {
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", CPU_PROVIDER),
    "cuda": ("CUDAExecutionProvider", CPU_PROVIDER),
    "cpu": (CPU_PROVIDER,),
}
_DEVICES = {providers[0]: device for device, providers in _PROVIDERS.items()}


class PoseModel(Protocol):
    """What the pipeline asks of a pose network: its crop, its outputs and what they mean."""

    def crop(self, image: Image, boxes: ArrayLike) -> NDArray[np.uint8]:
        """Crops (N, S, S, 3) uint8 of face boxes (N, 4) in an image (H, W, 3) uint8 RGB."""
        ...

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Outputs (N, ...) of those crops."""
        ...

    def decode(self, outputs: NDArray[np.float32]) -> Estimate:
        """Angles, in the paper's convention, and spreads of those outputs."""
        ...


class HeadPoseModel:
    """A loaded pose network, made by ``HeadPoseModel.load``.

    metadata: what the file says about itself. backend: what runs it.
    device_asked: "auto", "cpu", "cuda" or "tensorrt". device: the one in use.
    """

    def __init__(
        self, session: InferenceSession, metadata: ModelMetadata, *, device_asked: str
    ) -> None:
        self.metadata = metadata
        self.backend = "onnxruntime"
        self.device_asked = device_asked
        # The session's own word: ONNX Runtime drops silently what it cannot load.
        self.device = _DEVICES[session.get_providers()[0]]
        self._session = session

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        backend: str = "auto",
        threads: int = 1,
        allow_cpu_fallback: bool = True,
    ) -> HeadPoseModel:
        """Load a model file, by default the shipped one.

        device: "auto" (CUDA where it works, else the CPU), "cpu", "cuda" or "tensorrt".
        backend: "auto" or "onnxruntime". threads: of ONNX Runtime on the CPU, 1 or more.
        allow_cpu_fallback: whether the next best device will do when ``device`` cannot be had.
        Raises ModelError for a file that is missing, broken or against the contract of
        ``model_file``; DeviceError when the device, the backend or ONNX Runtime is not there.
        """
        if backend not in ("auto", "onnxruntime"):
            raise DeviceError(f"backend: expected auto or onnxruntime, got '{backend}'")
        providers = _providers(device)
        path = DEFAULT_MODEL if path is None else Path(path)
        data = read_model_file(path)
        try:
            session = open_session(data, providers=providers, threads=threads)
            check_signature(session)
            properties = session.get_modelmeta().custom_metadata_map
            metadata = ModelMetadata.from_properties(properties)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error
        model = cls(session, metadata, device_asked=device)
        if device not in ("auto", model.device) and not allow_cpu_fallback:
            raise DeviceError(
                f"device: asked for '{device}', got '{model.device}'; this ONNX Runtime has "
                f"{import_onnxruntime().get_available_providers()}. Install headpose-ehpnet[gpu] "
                "with the driver it needs, or allow the fallback to the CPU"
            )
        return model

    def crop(self, image: Image, boxes: ArrayLike) -> NDArray[np.uint8]:
        """Crops (N, 112, 112, 3) uint8, padded to squares, of face boxes (N, 4) in an image."""
        return crop_faces(image, square_boxes(boxes))

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits (N, 3, 62) float32, yaw, pitch, roll, of crops (N, 112, 112, 3) uint8 RGB."""
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != INPUT_SHAPE:
            raise ValueError(
                f"expected crops as (N, {', '.join(map(str, INPUT_SHAPE))}) uint8, "
                f"got {crops.shape} {crops.dtype}"
            )
        if not len(crops):  # an image without a face; not every provider takes an empty batch
            return np.empty((0, *OUTPUT_SHAPE), np.float32)
        (logits,) = self._session.run([OUTPUT], {INPUT: crops})
        return np.asarray(logits, np.float32)

    def decode(self, outputs: NDArray[np.float32]) -> Estimate:
        """Angles and calibrated spreads of logits (N, 3, 62)."""
        return decode(outputs, self.metadata.temperature)


def _providers(device: str) -> list[str]:
    """Execution providers to try for a device: those that this ONNX Runtime has."""
    if device != "auto" and device not in _PROVIDERS:
        raise DeviceError(f"device: expected auto, {', '.join(_PROVIDERS)}, got '{device}'")
    ort = import_onnxruntime()
    # TensorRT only for those who ask: its first start takes minutes.
    wanted = _PROVIDERS["cuda" if device == "auto" else device]
    available = [name for name in wanted if name in ort.get_available_providers()]
    if len(available) > 1 and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # the CUDA libraries that pip installed are on no search path
    return available
