# SPDX-License-Identifier: Apache-2.0
"""Other people's pose networks, described by a TOML file each, in the place of our own.

`peers/fsanet.toml` is the annotated example. A peer fits `HeadPosePipeline`, so that it sees the
same boxes and the same images as our models do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.peer_config import ANGLES, PeerConfig, PeerOutput
from headpose_core.errors import ModelError
from headpose_core.images.crop import crop_faces, square_boxes
from headpose_core.images.image_view import ImageView
from headpose_core.onnx_files.onnx_file import read_model_file
from headpose_core.onnx_files.sessions import open_session
from headpose_core.pose.pose_model import Estimate
from headpose_core.types import FloatArray


class PeerModel:
    """A peer in the place of a ``HeadPoseModel``; its outputs say nothing of their spread (NaN).

    files_dir: where its files are, by default beside the TOML file.
    Raises ModelError when a file is missing or broken, or has other inputs or outputs than told.
    """

    def __init__(
        self, path: str | os.PathLike[str], files_dir: Path | None = None, threads: int = 1
    ) -> None:
        path = Path(path)
        self.config = PeerConfig.read(path)
        self.name = self.config.name
        self._sessions = []
        for name in self.config.files:
            file = (files_dir or path.parent) / name
            if not file.is_file():
                raise ModelError(
                    f"{path}: expected {name} in {file.parent}; put it there, or give the "
                    "directory of such files (--peer-files)"
                )
            self._sessions.append(open_session(read_model_file(file), threads=threads))

    def crop(self, view: ImageView, boxes: ArrayLike) -> NDArray[np.uint8]:
        """Crops (N, size, size, 3) uint8 RGB; black where they leave the image."""
        corners = np.asarray(boxes, np.float64).reshape(-1, 4)
        centres = (corners[:, :2] + corners[:, 2:]) / 2
        half = (corners[:, 2:] - corners[:, :2]).max(axis=1, keepdims=True) / 2
        half = half * self.config.input.box_scale
        squares = square_boxes(np.hstack([centres - half, centres + half]))
        return crop_faces(view, squares, self.config.input.size)

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Angles (N, 3), yaw, pitch, roll, in degrees of the paper's convention."""
        if not len(crops):  # an image without a face
            return np.empty((0, 3), np.float32)
        told = self.config.input
        pixels = crops[..., ::-1] if told.channels == "BGR" else crops
        mean, std = np.asarray(told.mean, np.float32), np.asarray(told.std, np.float32)
        tensor = (pixels.astype(np.float32) - mean) / std
        if told.layout == "NCHW":
            tensor = tensor.transpose(0, 3, 1, 2)
        tensor = np.ascontiguousarray(tensor)
        angles = [self._run(session, tensor) for session in self._sessions]
        return np.asarray(np.mean(angles, axis=0), np.float32)

    def turn_probabilities(self, outputs: NDArray[np.float32]) -> None:
        """Not known: faces are taken to be upright."""

    def decode(self, outputs: NDArray[np.float32]) -> Estimate:
        """Those angles with an unknown spread."""
        angles = np.asarray(outputs, np.float64)
        nothing = np.full_like(angles, np.nan)
        return Estimate(angles, nothing, np.zeros(len(angles), np.bool_))

    def _run(self, session: Any, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Angles (N, 3) of one file; one face at a time where the file's batch is fixed."""
        (given,) = session.get_inputs()
        fixed = isinstance(given.shape[0], int)
        parts = np.split(tensor, len(tensor)) if fixed else [tensor]
        angles = [_angles(session.run(None, {given.name: p}), self.config.output) for p in parts]
        return np.concatenate(angles).astype(np.float32)


def _angles(outputs: Sequence[NDArray[np.float32]], told: PeerOutput) -> FloatArray:
    """The paper's angles (N, 3) in degrees."""
    parts = list(np.moveaxis(outputs[0], 1, 0)) if len(outputs) == 1 else list(outputs)
    if len(parts) != 3:
        shapes = [output.shape for output in outputs]
        raise ModelError(f"expected one output (N, 3, ...) or three, got {shapes}")
    columns = [np.asarray(part, np.float64).reshape(len(part), -1) for part in parts]
    if told.kind == "bins":
        columns = [_expectation(scores, told) for scores in columns]
    angles = np.hstack(columns) * told.signs
    if told.unit == "radians":
        angles = np.degrees(angles)
    return np.asarray(angles[:, [list(told.order).index(name) for name in ANGLES]])


def _expectation(scores: FloatArray, told: PeerOutput) -> FloatArray:
    """Expectation (N, 1) of the softmax of scores (N, B)."""
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    centres = told.first_deg + told.width_deg * np.arange(scores.shape[1])
    return np.asarray((weights @ centres / weights.sum(axis=1))[:, None])
