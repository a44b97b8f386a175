# SPDX-License-Identifier: Apache-2.0
"""Files of a training run that survive a kill, a full disk and a second start."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

from headpose_core.output_files import atomic_write


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a dictionary of tensors and plain values; the checkpoint before it is kept too.

    Raises OSError when it cannot be written; the files that were there stay.
    """
    with atomic_write(path) as unfinished:
        # Through a Python file: PyTorch's own writer ends the process when the disk is full.
        with unfinished.open("wb") as file:
            try:
                torch.save(state, file)
            except RuntimeError as error:  # it covers the disk's error with one of its own
                raise OSError(f"cannot write {path}: {error.__context__ or error}") from error
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            path.replace(previous(path))


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The saved dictionary, on the CPU; the one before it when the last one is torn.

    None when there is no file. Raises ValueError when there are files and none can be read.
    """
    files = [file for file in (path, previous(path)) if file.exists()]
    reasons = []
    for file in files:
        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except FileNotFoundError:  # moved meanwhile, by a run that is saving
            continue
        except Exception as error:  # what is torn makes PyTorch stumble in any way
            reasons.append(f"{file}: {str(error).splitlines()[0] if str(error) else 'empty'}")
            continue
        if reasons:
            print(f"going on from the checkpoint before, {file}; {reasons[0]}", file=sys.stderr)
            path.unlink(missing_ok=True)  # lest the next one push the good one out
        return state
    if reasons:
        raise ValueError(
            f"expected a checkpoint that can be read, got {'; '.join(reasons)}. "
            "Choose another directory, or remove these files to start anew"
        )
    return None


def write_text(path: Path, text: str) -> None:
    """Write a text file; on failure the old one stays."""
    with atomic_write(path) as unfinished:
        unfinished.write_text(text)
