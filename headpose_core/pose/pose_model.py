# SPDX-License-Identifier: Apache-2.0
"""What the pipeline asks of a pose network, and what it gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.geometry.rotation import (
    angle_std_deg,
    angles_from_matrix,
    matrix_from_angles,
    orientation_covariance,
    quarter_turns,
)
from headpose_core.images.image_view import ImageView
from headpose_core.types import FloatArray


@dataclass(frozen=True)
class Estimate:
    """Angles of N faces in the order yaw, pitch, roll, in the paper's convention.

    mean_deg: (N, 3) float64. std_deg: (N, 3) float64, calibrated one-sigma.
    extrapolated: (N,) bool, the head may be turned further than the bins reach.
    """

    mean_deg: FloatArray
    std_deg: FloatArray
    extrapolated: NDArray[np.bool_]

    def turned_back(self, quarters: NDArray[np.intp]) -> Estimate:
        """The same heads in the image, from crops that were turned clockwise by (N,) quarters."""
        turned = np.flatnonzero(quarters)
        if not len(turned):
            return self
        mean, std = self.mean_deg.copy(), self.std_deg.copy()
        turn = quarter_turns(quarters[turned])
        covariances = orientation_covariance(mean[turned], std[turned])
        covariances = turn @ covariances @ np.swapaxes(turn, -1, -2)
        mean[turned] = angles_from_matrix(turn @ matrix_from_angles(mean[turned]))
        std[turned] = angle_std_deg(mean[turned], covariances)
        return Estimate(mean, std, self.extrapolated)


class PoseModel(Protocol):
    """Its crop, its outputs, and what they mean."""

    def crop(self, view: ImageView, boxes: ArrayLike) -> NDArray[np.uint8]:
        """Crops (N, S, S, 3) uint8 RGB of face boxes (N, 4) in an image."""
        ...

    def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Outputs (N, ...) of those crops."""
        ...

    def turn_probabilities(self, outputs: NDArray[np.float32]) -> FloatArray | None:
        """How likely each crop is upright after 0, 1, 2 and 3 clockwise quarter turns, (N, 4);
        None where the network does not know."""
        ...

    def decode(self, outputs: NDArray[np.float32]) -> Estimate:
        """Angles, in the paper's convention, and spreads of those outputs."""
        ...
