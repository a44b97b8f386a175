# SPDX-License-Identifier: Apache-2.0
"""A step of a set-up that is done again only when one of its inputs has changed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
VENV = REPOSITORY / ".venv"
STATE = VENV / "state"


class Stage:
    """One step of the set-up, done again when the content of its inputs has changed.

    `inputs` are files or folders (their files' content counts), `listed` are folders whose file
    names alone count, because the step only links them.
    """

    def __init__(
        self,
        name: str,
        says: str,
        action: Callable[[], None],
        inputs: list[Path],
        listed: list[Path] = [],  # noqa: B006 (never changed)
    ) -> None:
        self.name, self.says, self.action = name, says, action
        self.inputs, self.listed = inputs, listed
        self.stamp = STATE / f"{name}.done"
        self.unfinished = STATE / f"{name}.running"

    def key(self) -> str:
        """The hash of everything this stage was made from."""
        digest = hashlib.sha256(f"{sys.version} {sys.base_prefix} {VENV}".encode())
        for path in files_in(self.inputs):
            digest.update(f"{path.relative_to(REPOSITORY)}\n".encode() + path.read_bytes())
        for path in files_in(self.listed):
            digest.update(f"{path.relative_to(REPOSITORY)}\n".encode())
        return digest.hexdigest()

    def is_done(self) -> bool:
        return self.stamp.is_file() and self.stamp.read_text() == self.key()

    def run(self) -> None:
        print(f"environment: {self.says}", flush=True)
        start, key = time.monotonic(), self.key()
        self.stamp.unlink(missing_ok=True)
        self.unfinished.touch()
        try:
            self.action()
        except subprocess.CalledProcessError:
            # It failed by itself and cleaned up; only what was killed leaves the mark.
            self.unfinished.unlink()
            raise
        self.stamp.write_text(key)
        self.unfinished.unlink()
        print(f"environment: done in {time.monotonic() - start:.0f} s", flush=True)


def files_in(paths: list[Path]) -> list[Path]:
    """The files at or under `paths`, sorted, without what Python leaves there."""
    found = []
    for path in paths:
        found += [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sorted(p for p in found if "__pycache__" not in p.parts)
