# SPDX-License-Identifier: Apache-2.0
"""A Python process of which every look-up, connection and new file is seen, see ``watch.c``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import REPOSITORY

# ONNX Runtime's telemetry comes 9 seconds after it was imported.
PATIENCE_S = 12.0


def build_watch(folder: Path) -> Path:
    """The library to preload. The test is skipped without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler: apt install gcc")
    library, source = folder / "watch.so", REPOSITORY / "tests" / "watch.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def watched_environment(watch: Path, folder: Path) -> dict[str, str]:
    """The environment of a process that is watched: a home of its own, no `CI`."""
    (folder / "home").mkdir(parents=True)
    left_out = ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    own = {"HOME": folder / "home", "WATCH_LOG": folder / "log", "LD_PRELOAD": watch}
    return kept | {name: str(value) for name, value in own.items()}


def seen(folder: Path) -> tuple[list[str], list[str]]:
    """What was looked up and would have been reached, and the files in the home."""
    log, home = folder / "log", folder / "home"
    files = (path for path in home.rglob("*") if path.is_file())
    lines = log.read_text().splitlines() if log.exists() else []
    return lines, sorted(str(path.relative_to(home)) for path in files)


class Watched:
    """A Python that is watched while it runs `code`, and `wait_s` longer."""

    def __init__(self, watch: Path, folder: Path, code: str, wait_s: float = PATIENCE_S) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{code}\nimport time\ntime.sleep({wait_s})"],
            cwd=REPOSITORY,
            env=watched_environment(watch, folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self) -> tuple[list[str], list[str]]:
        """What was ``seen``, when it is done. Fails when the code did."""
        output, _ = self._process.communicate(timeout=300)
        assert self._process.returncode == 0, output
        return seen(self._folder)
