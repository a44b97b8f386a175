# SPDX-License-Identifier: Apache-2.0
"""Fixtures that every part of the suite shares."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data beside the repository; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs real data that is not part of the repository (expected in {SHARED})")
    return SHARED
