# SPDX-License-Identifier: Apache-2.0
"""Where a head points, as people say it: how far to which side, how far up or down, the tilt.

Near profile the paper's angles mislead: a head that looks 79 degrees to the side and 27 down reads
yaw 61, pitch -69, roll 63 there. The direction of the nose has no such trouble.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from headpose_core.geometry.rotation import rep103_angles


@dataclass(frozen=True)
class Direction:
    """Of a nose, seen from where its face is looked at. All degrees.

    left_deg: to the left of the image, 0 into the camera, beyond 90 away from it. up_deg: above
    the viewing ray. tilt_deg: of the head about its nose, clockwise in a frontal image.
    """

    left_deg: float
    up_deg: float
    tilt_deg: float

    @classmethod
    def of(cls, rotation: ArrayLike) -> Direction:
        """Of one rotation (3, 3), head to optical axes about the viewing ray."""
        yaw, pitch, roll = np.degrees(rep103_angles(rotation)).tolist()
        return cls(-yaw, -pitch, -roll)

    def __str__(self) -> str:
        """For people: "79 left, 27 down, tilt 5"."""
        side = _amount(self.left_deg, "left", "right")
        height = _amount(self.up_deg, "up", "down")
        return f"{side}, {height}, tilt {round(self.tilt_deg):+d}"


def _amount(value: float, positive: str, negative: str) -> str:
    return f"{abs(round(value))} {positive if value >= 0 else negative}"
