# SPDX-License-Identifier: Apache-2.0
"""Pointing'04: `Person01/person01258+15-15.jpg` beside a .txt with the face box.

The name ends in tilt and pan, in degrees, with the signs of pitch and yaw; roll has no label
(NaN). The labels are coarse: a check of signs and range. Gourier, Hall and Crowley, 2004.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headpose_core.learning.data.readers.picture_files import Entry, has_area
from headpose_core.learning.data.skipped_faces import DataError, Report

# Beyond it the two angles mean little together.
LARGEST_PAN_DEG = 60.0


def read_pointing04(root: Path, report: Report) -> Iterator[Entry]:
    """Faces of all persons; a person is a group."""
    pictures = sorted(root.glob("Person*/person*.jpg"))
    if not pictures:
        raise DataError(f"expected Person*/person*.jpg of Pointing'04 in {root}")
    for path in pictures:
        match = re.search(r"([+-]\d+)([+-]\d+)$", path.stem)
        if match is None:
            report.broken(path, "no tilt and pan (+15-30) at the end of the name")
            continue
        tilt, pan = float(match[1]), float(match[2])
        if abs(pan) > LARGEST_PAN_DEG:
            report.leave_out(path, f"pan beyond {LARGEST_PAN_DEG:g} degrees")
            continue
        box = _box(path.with_suffix(".txt"), report)
        if box is not None and has_area(path, box, report):
            yield Entry(path, box, np.array([pan, tilt, np.nan]), path.parent.name)


def _box(path: Path, report: Report) -> NDArray[np.float32] | None:
    """Box (4,) of a text file that ends in centre x, y, width, height."""
    try:
        x, y, width, height = map(float, path.read_text(errors="replace").split()[-4:])
    except OSError:
        report.broken(path, "no label file beside the picture")
    except ValueError:
        report.broken(path, "no face box in the label file")
    else:
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return np.array(corners, np.float32)
    return None
