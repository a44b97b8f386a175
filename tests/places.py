# SPDX-License-Identifier: Apache-2.0
"""Where the tests find things."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

# Names the folder of real data, which is not part of the repository.
TEST_DATA = "HEADPOSE_TEST_DATA"
# Every such folder has this photo, so another folder of the same name is not taken for it.
KNOWN_BY = Path("data/aflw2000/image00002.jpg")
NEEDS_DATA = f"needs real data: set {TEST_DATA} to a folder with {KNOWN_BY}"


def real_data(
    environment: Mapping[str, str] = os.environ, repository: Path = REPOSITORY
) -> Path | None:
    """The folder of real data that HEADPOSE_TEST_DATA names, else ``shared`` beside the repository
    if it is one, else None.

    Raises ValueError when the variable names anything else: who sets it wants these tests run.
    """
    given = environment.get(TEST_DATA)
    folder = Path(given) if given else repository.parent / "shared"
    if (folder / KNOWN_BY).is_file():
        return folder
    if given:
        raise ValueError(f"{TEST_DATA}: expected a folder with {KNOWN_BY}, got {given}")
    return None
