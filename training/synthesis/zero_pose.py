# SPDX-License-Identifier: Apache-2.0
"""Where zero is: the constant rotation from MakeHuman's frontal head to 300W-LP's."""

from __future__ import annotations

import numpy as np

_PITCH = np.radians(3.0)
ZERO_POSE = np.array([[1, 0, 0], [0, np.cos(_PITCH), np.sin(_PITCH)], [0, -np.sin(_PITCH), np.cos(_PITCH)]])
