# SPDX-License-Identifier: Apache-2.0
"""What the pipeline asks of a pose network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.images.image_view import ImageView
from headpose_core.pose.bins import Estimate

__all__ = ["Estimate", "PoseModel"]


class PoseModel(Protocol):
    """Its crop, its outputs, and what they mean."""

    def crop(self, view: ImageView, boxes: ArrayLike) -> NDArray[np.uint8]:
        """Crops (N, S, S, 3) uint8 RGB of face boxes (N, 4) in an image."""
        ...

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Outputs (N, ...) of those crops."""
        ...

    def decode(self, outputs: NDArray[np.float32]) -> Estimate:
        """Angles, in the paper's convention, and spreads of those outputs."""
        ...
