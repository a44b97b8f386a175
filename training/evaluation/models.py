# SPDX-License-Identifier: Apache-2.0
"""Whatever can be measured, in the place of the pipeline's model.

A model is named by its file: .onnx is a model file, .safetensors the weights of a training run,
.toml a peer (`benchmarks/peers`); `A.onnx+B.onnx` is the mean of several of ours, and
`NAME=FILE` gives it another name than the file's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from benchmarks.peer import PeerModel
from headpose_core.errors import ModelError
from headpose_core.images.crop import Fit, crop_faces, crop_windows
from headpose_core.images.image_view import ImageView
from headpose_core.pose.bins import decode
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.networks.network import crop_of, load_weights
from headpose_core.pose.pose_model import Estimate, PoseModel


def open_models(
    names: Sequence[str], device: str = "cpu", threads: int = 1, peer_files: Path | None = None
) -> dict[str, PoseModel]:
    """Models by their names, in the order given. Raises ModelError for a name given twice,
    and for a file that is no model."""
    models: dict[str, PoseModel] = {}
    for argument in names:
        name, files = _split(argument)
        members = [_open(Path(file), device, threads, peer_files) for file in files]
        name = name or "+".join(Path(file).stem for file in files)
        if name in models:
            raise ModelError(
                f"two models are called '{name}': name one of them as NAME={files[0]}"
            )
        models[name] = members[0] if len(members) == 1 else Ensemble(members)
    return models


def _split(argument: str) -> tuple[str, list[str]]:
    """Name ("" when not given) and files of an argument."""
    if Path(argument).is_file():
        return "", [argument]
    name, _, files = argument.rpartition("=")
    return name, [files] if Path(files).is_file() else files.split("+")


def _open(path: Path, device: str, threads: int, peer_files: Path | None) -> PoseModel:
    if path.suffix == ".toml":
        return PeerModel(path, peer_files, threads)
    if path.suffix == ".safetensors":
        return TorchModel(path, device)
    return HeadPoseModel.load(path, device=device, threads=threads, allow_cpu_fallback=False)


class TorchModel:
    """Weights of a training run, before their export; not calibrated."""

    def __init__(self, path: Path, device: str = "cpu") -> None:
        self._device = torch.device(device)
        try:
            network, notes = load_weights(path)
        except (OSError, ValueError) as error:
            raise ModelError(str(error)) from error
        self._network = network.to(self._device)
        self.fit = crop_of(notes)

    def crop(self, view: ImageView, boxes: ArrayLike) -> NDArray[np.uint8]:
        """Crops (N, 112, 112, 3) uint8 RGB, made as those of the training run."""
        return crop_faces(view, crop_windows(boxes, self.fit))

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits (N, 3, 62)."""
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(crops).to(self._device))
        return np.asarray(logits.float().cpu().numpy())

    def turn_probabilities(self, outputs: NDArray[np.float32]) -> None:
        """Not known: faces are taken to be upright."""

    def decode(self, outputs: NDArray[np.float32]) -> Estimate:
        """Angles and spreads, at a temperature of 1."""
        return decode(outputs)


class Ensemble:
    """The mean of the softmax outputs of several models (the paper's teachers); not calibrated."""

    def __init__(self, members: Sequence[PoseModel]) -> None:
        if any(isinstance(member, PeerModel) for member in members):
            raise ModelError("expected models of ours in a mean: a peer's TOML lists its files")
        if len({_fit(member) for member in members}) > 1:
            raise ModelError("expected models with one crop in a mean, got pad and stretch")
        self._members = members

    def crop(self, view: ImageView, boxes: ArrayLike) -> NDArray[np.uint8]:
        """Crops (N, 112, 112, 3) uint8 RGB: all members have the same."""
        return self._members[0].crop(view, boxes)

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits (N, 3, 62) of the mean distribution."""
        logits = np.array([member.infer(crops) for member in self._members], np.float64)
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        mean = (weights / weights.sum(axis=-1, keepdims=True)).mean(axis=0)
        return np.asarray(np.log(np.maximum(mean, 1e-30)), np.float32)

    def turn_probabilities(self, outputs: NDArray[np.float32]) -> None:
        """Not known: faces are taken to be upright."""

    def decode(self, outputs: NDArray[np.float32]) -> Estimate:
        """Angles and spreads, at a temperature of 1."""
        return decode(outputs)


def _fit(member: PoseModel) -> Fit | None:
    if isinstance(member, HeadPoseModel):
        return member.metadata.crop
    return member.fit if isinstance(member, TorchModel) else None


class ListeningModel:
    """A model whose last decoded outputs stay readable: the pipeline hands on angles only."""

    def __init__(self, model: PoseModel) -> None:
        self._model = model
        self.crop, self.infer = model.crop, model.infer
        self.turn_probabilities = model.turn_probabilities
        self.outputs = np.empty((0,), np.float32)

    def decode(self, outputs: NDArray[np.float32]) -> Estimate:
        """The model's angles and spreads."""
        self.outputs = outputs
        return self._model.decode(outputs)
