# SPDX-License-Identifier: Apache-2.0
"""SCRFD and RetinaFace of the package insightface, for those who want them instead of YuNet.

The package brings no weights, and nothing is downloaded here: the file is given. The model packs
of its authors are for non-commercial research only.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from headpose_core.errors import DeviceError, ModelError
from headpose_core.faces.configurable_detector import ConfigurableDetector
from headpose_core.faces.face_detector import DetectorSettings
from headpose_core.onnx_files.onnx_file import read_model_file
from headpose_core.onnx_files.sessions import CPU_PROVIDER, import_onnxruntime, session_options
from headpose_core.types import Faces, Image

_MULTIPLE = 32  # the largest stride


class InsightFaceDetector(ConfigurableDetector):
    """A detector of insightface on the CPU; a ``FaceDetector``. One thread at a time.

    model_path: an SCRFD or RetinaFace file (ONNX). A file with a fixed input size sees every image
    in that size, whatever ``max_side`` says. threads: of ONNX Runtime. settings: those
    of ``DetectorSettings``, by name. Raises DeviceError when insightface is not installed,
    ModelError when the file is missing or none of its detectors.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        *,
        threads: int = 1,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.model_path = Path(model_path)
        self._detector = _load(self.model_path, threads)

    def _find(self, image: Image, settings: DetectorSettings) -> Faces:
        padding = [(0, -image.shape[0] % _MULTIPLE), (0, -image.shape[1] % _MULTIPLE), (0, 0)]
        padded = np.pad(image[..., ::-1], padding)  # insightface wants BGR and no scaling of ours
        found, points = self._detector.detect(
            padded, input_size=padded.shape[1::-1], det_thresh=settings.score_threshold
        )
        boxes, scores = np.asarray(found[:, :4], np.float32), np.asarray(found[:, 4], np.float32)
        return Faces(boxes, scores, None if points is None else np.asarray(points, np.float32))


def _load(path: Path, threads: int) -> Any:
    """insightface's own object. It is not asked to check the file: it would download or assert."""
    read_model_file(path)
    import_onnxruntime()  # before insightface does, and without telemetry
    try:
        from insightface.model_zoo import get_model
    except ImportError as error:
        raise DeviceError(
            f"detector insightface: expected insightface 2 to be installed, got '{error}': "
            "pip install --no-deps 'insightface>=2,<3' and pip install onnx requests scikit-image "
            "tqdm (with what it requires it would overwrite OpenCV), or take the detector yunet"
        ) from error
    options = session_options(threads)
    try:
        model = get_model(str(path), providers=[CPU_PROVIDER], sess_options=options)
    except Exception as error:  # of ONNX Runtime or insightface: they have no common base
        raise ModelError(f"{path}: expected a detector of insightface ({error})") from error
    if getattr(model, "taskname", None) != "detection":
        got = type(model).__name__ if model is not None else "a model that it does not know"
        raise ModelError(f"{path}: expected an SCRFD or RetinaFace of insightface, got {got}")
    model.prepare(ctx_id=-1)
    return model
