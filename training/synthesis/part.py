# SPDX-License-Identifier: Apache-2.0
"""What hangs on a head and follows its shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.synthesis.mesh import Mesh


@dataclass(frozen=True)
class Part:
    """A mesh bound to the base mesh. binding: (V, base vertices) weights; offsets (V,3);
    scales as in assets.Clothes; textures: the ones it can wear, at least one."""

    name: str
    mesh: Mesh
    binding: sparse.csr_matrix
    offsets: NDArray[np.float32]
    scales: tuple[tuple[int, int, float] | None, ...]
    textures: tuple[Path, ...]

    def positions(self, base: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vertices (V,3) of the part on a morphed base (B,3)."""
        factors = np.ones(3, np.float32)
        for axis, scale in enumerate(self.scales):
            if scale is not None:
                factors[axis] = abs(base[scale[0], axis] - base[scale[1], axis]) / scale[2]
        return np.asarray(self.binding @ base + self.offsets * factors, np.float32)
