# SPDX-License-Identifier: Apache-2.0
"""The teachers of a student: what they say about its views, and a file to say it again from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headpose_core.images.crop import Fit
from headpose_core.learning.run.losses import ensemble_probabilities
from headpose_core.pose.bins import NUM_BINS
from headpose_core.pose.networks.network import crop_of, load_weights

_SAID = (3, NUM_BINS)
_ROW_BYTES = 2 * 3 * NUM_BINS
_PIECE = 2**22


class Teachers:
    """Mean of the softmax outputs of trained networks (paper, Eq. 4), on the student's pixels.

    crops: how they were trained to see faces. Raises FileNotFoundError and ValueError for files
    that are not weights.
    """

    def __init__(
        self,
        weights: Sequence[Path],
        temperature: float,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self._temperature, self._precision = temperature, precision
        self.crops: set[Fit] = set()
        self._networks = []
        for path in weights:
            network, notes = load_weights(path)
            self.crops.add(crop_of(notes))
            network.requires_grad_(False).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._networks.append(network)

    @torch.no_grad()
    def __call__(self, crops: Tensor, rows: NDArray[np.int64] | None = None) -> Tensor:
        """Probabilities (N, 3, 62) float32 of crops (N, S, S, 3) uint8; `rows` do not matter."""
        half = self._precision != torch.float32
        with torch.autocast(crops.device.type, self._precision, enabled=half):
            logits = [network(crops).float() for network in self._networks]
        return ensemble_probabilities(logits, self._temperature)


class CachedTeachers(Teachers):
    """Teachers that are asked once about each of a fixed set of views.

    What they said is kept in a file as float16 (372 bytes a view), and used in that rounding
    from the first time on, so that it makes no difference whether a view was found in it. The
    file is a table with a row for every view; a row of zeros is one that nobody asked about yet.
    A row that a kill cut short is asked about again: its probabilities do not sum to one.
    """

    def __init__(
        self,
        weights: Sequence[Path],
        temperature: float,
        device: torch.device,
        precision: torch.dtype,
        path: Path,
    ) -> None:
        super().__init__(weights, temperature, device, precision)
        self._path = path
        self._table: NDArray[np.float16] = np.empty((0, *_SAID), np.float16)
        self.asked = 0
        """Views that the teachers themselves were asked about."""

    def forget(self) -> None:
        """Empty the file: what is in it is about other views."""
        self._path.unlink(missing_ok=True)

    def reserve(self, rows: int) -> None:
        """Room for so many views in all. Raises OSError when the disk is full."""
        with self._path.open("ab") as file:
            # Zeros are written, not left out: a full disk is an error here, and a crash later.
            missing = rows * _ROW_BYTES - file.tell()
            for start in range(0, missing, _PIECE):
                file.write(bytes(min(_PIECE, missing - start)))

    def __call__(self, crops: Tensor, rows: NDArray[np.int64] | None = None) -> Tensor:
        """Probabilities (N, 3, 62) float32 of crops (N, S, S, 3); `rows` (N,) number the views."""
        if rows is None:
            return super().__call__(crops)
        if rows.max() >= len(self._table):
            there = self._path.stat().st_size // _ROW_BYTES
            self._table = np.memmap(self._path, np.float16, "r+", shape=(there, *_SAID))
        missing = np.flatnonzero(~_complete(self._table[rows]))
        if len(missing):
            self.asked += len(missing)
            said = super().__call__(crops[torch.from_numpy(missing).to(crops.device)])
            self._table[rows[missing]] = said.cpu().numpy().astype(np.float16)
        return torch.from_numpy(self._table[rows].astype(np.float32)).to(crops.device)


def _complete(said: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Which rows (N, 3, 62) hold three distributions."""
    sums = said.astype(np.float32).sum(axis=-1)
    return np.asarray((np.abs(sums - 1.0) < 0.01).all(axis=-1))
