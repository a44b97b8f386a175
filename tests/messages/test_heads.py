# SPDX-License-Identifier: Apache-2.0
"""The region of a face in a message."""

from __future__ import annotations

import numpy as np
import pytest

from headpose_core.messages.heads import clipped_box


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10.2, 20.6, 30.4, 50.0), (10, 21, 30, 50)),
        ((-5.0, -7.0, 20.0, 30.0), (0, 0, 20, 30)),
        ((90.0, 40.0, 130.0, 90.0), (90, 40, 100, 50)),
        ((150.0, 60.0, 180.0, 90.0), (100, 50, 100, 50)),
    ],
)
def test_box_is_clipped_to_the_image(box: tuple[float, ...], expected: tuple[int, ...]) -> None:
    assert clipped_box(np.array(box, np.float32), (100, 50)) == expected
