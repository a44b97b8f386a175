# SPDX-License-Identifier: Apache-2.0
"""Files of a training run that survive a kill, a full disk and a second start."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file, then put it in the place of `path` in one step.

    Whatever goes wrong before that step leaves the old file as it was.
    """
    unfinished = path.with_name(path.name + ".tmp")
    try:
        write(unfinished)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    write_atomically(path, lambda unfinished: unfinished.write_text(text))


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a dictionary of tensors and plain values."""
    write_atomically(path, lambda unfinished: torch.save(state, unfinished))


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The saved dictionary, on the CPU; None when there is no file."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
