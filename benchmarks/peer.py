# SPDX-License-Identifier: Apache-2.0
"""Other people's pose networks, described by a TOML file each, in the place of our own.

`peers/fsanet.toml` is the annotated example. A peer fits `HeadPosePipeline`, so that it sees the
same boxes and the same images as our models do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.bins import Estimate
from headpose_core.crop import crop_faces, square_boxes
from headpose_core.errors import ModelError
from headpose_core.image_view import AnyImage
from headpose_core.onnx_file import read_model_file
from headpose_core.sessions import open_session
from headpose_core.types import FloatArray

ANGLES = ("yaw", "pitch", "roll")
Table = TypeVar("Table")
# Of the keys of a TOML file that take one of a few words.
_CHOICES = {
    "channels": ("RGB", "BGR"),
    "layout": ("NCHW", "NHWC"),
    "kind": ("angles", "bins"),
    "unit": ("degrees", "radians"),
}


@dataclass(frozen=True)
class PeerInput:
    """How a face becomes the network's input.

    size: side of the crop [px]. box_scale: side of its square over the face box's longer side.
    mean, std: the network reads (pixel - mean) / std; a number, or three in the order of
    ``channels``.
    """

    size: int
    box_scale: float = 1.0
    channels: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0


@dataclass(frozen=True)
class PeerOutput:
    """What the network's outputs mean.

    kind: "angles" is one output (N, 3) or three (N, 1); "bins" is one (N, 3, B) or three (N, B)
    of scores, whose softmax has the angle as expectation over ``first_deg + k * width_deg``.
    order: which angle comes when. signs: makes each of them the paper's, in that order.
    """

    kind: Literal["angles", "bins"] = "angles"
    unit: Literal["degrees", "radians"] = "degrees"
    order: Sequence[str] = ANGLES
    signs: Sequence[float] = (1.0, 1.0, 1.0)
    first_deg: float = 0.0
    width_deg: float = 0.0


@dataclass(frozen=True)
class PeerConfig:
    """A TOML file: the network's name, where it comes from, and its files, whose angles are
    averaged."""

    name: str
    source: str
    licence: str
    files: Sequence[str]
    input: PeerInput
    output: PeerOutput

    @classmethod
    def read(cls, path: Path) -> PeerConfig:
        """Read a TOML file. Raises ModelError when it is missing or not such a description."""
        try:
            table = _read_toml(path)
            table["input"] = _checked(PeerInput, table.get("input", {}), "[input]")
            table["output"] = _checked(PeerOutput, table.get("output", {}), "[output]")
            config = _checked(cls, table, "the top")
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: {error}") from error
        if sorted(config.output.order) != sorted(ANGLES) or len(config.output.signs) != 3:
            raise ModelError(f"{path}: expected order and signs of {ANGLES}, got {config.output}")
        return config


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

    def crop(self, image: AnyImage, boxes: ArrayLike) -> NDArray[np.uint8]:
        """Crops (N, size, size, 3) uint8 RGB; black where they leave the image."""
        corners = np.asarray(boxes, np.float64).reshape(-1, 4)
        centres = (corners[:, :2] + corners[:, 2:]) / 2
        half = (corners[:, 2:] - corners[:, :2]).max(axis=1, keepdims=True) / 2
        half = half * self.config.input.box_scale
        squares = square_boxes(np.hstack([centres - half, centres + half]))
        return crop_faces(image, squares, self.config.input.size)

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Angles (N, 3), yaw, pitch, roll, in degrees of the paper's convention."""
        if not len(crops):  # an image without a face
            return np.empty((0, 3), np.float32)
        told = self.config.input
        pixels = crops[..., ::-1] if told.channels == "BGR" else crops
        tensor = (pixels.astype(np.float32) - np.float32(told.mean)) / np.float32(told.std)
        if told.layout == "NCHW":
            tensor = tensor.transpose(0, 3, 1, 2)
        tensor = np.ascontiguousarray(tensor)
        return np.mean([self._run(session, tensor) for session in self._sessions], axis=0)

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
    columns = list(np.moveaxis(outputs[0], 1, 0)) if len(outputs) == 1 else list(outputs)
    if len(columns) != 3:
        shapes = [output.shape for output in outputs]
        raise ModelError(f"expected one output (N, 3, ...) or three, got {shapes}")
    columns = [np.asarray(c, np.float64).reshape(len(c), -1) for c in columns]
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


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        try:
            import tomli as tomllib
        except ModuleNotFoundError as error:
            raise ModelError("Python 3.10 reads TOML with: pip install tomli") from error
    return tomllib.loads(path.read_text())


def _checked(kind: type[Table], table: Mapping[str, Any], where: str) -> Table:
    """A table of the file as its dataclass. ValueError names keys that are wrong or missing."""
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: expected a table, got {table!r}")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    unknown = table.keys() - known.keys()
    if unknown:
        raise ValueError(f"{where}: expected keys among {sorted(known)}, got {sorted(unknown)}")
    try:
        made = kind(**table)
    except TypeError as error:
        raise ValueError(f"{where}: expected keys {sorted(known)}: {error}") from error
    for name, options in _CHOICES.items():
        if name in known and getattr(made, name) not in options:
            raise ValueError(f"{where}: expected {name} in {options}, got {getattr(made, name)!r}")
    return made
