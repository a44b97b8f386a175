# SPDX-License-Identifier: Apache-2.0
"""Files of a training run that survive a kill, a full disk and a second start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from headpose_core.files import appearing


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a dictionary of tensors and plain values; on failure the old file stays."""
    with appearing(path) as unfinished:
        torch.save(state, unfinished)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The saved dictionary, on the CPU; None when there is no file."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def write_text(path: Path, text: str) -> None:
    """Write a text file; on failure the old one stays."""
    with appearing(path) as unfinished:
        unfinished.write_text(text)
