# SPDX-License-Identifier: Apache-2.0
"""The TOML file that describes a peer; `peers/fsanet.toml` is the annotated example."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from headpose_core.errors import ModelError

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


def _read_toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ModuleNotFoundError as error:
            raise ModelError("Python 3.10 reads TOML with: pip install tomli") from error
    table: dict[str, Any] = tomllib.loads(path.read_text())
    return table


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
