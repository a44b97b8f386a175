# SPDX-License-Identifier: Apache-2.0
"""Where a result comes from: the code, the data, the machine."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from headpose_core.learning.run.config import RunConfig, fingerprint, to_json


def git_hash() -> str:
    """Commit of the source tree, with `+` when files differ from it; `unknown` outside git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    folder = Path(__file__).parent
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def machine(device: torch.device) -> dict[str, str]:
    """What computes: the code, the processor or GPU, the version that decides about rounding."""
    name = platform.processor() or platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return {"git_hash": git_hash(), "processor": name, "torch": torch.__version__}


def notes(config: RunConfig, origin: dict[str, Any]) -> dict[str, str]:
    """Settings and origin of weights for the metadata of their file, which is all text.

    Plain text stays as it is, anything else is JSON. `training` is a short hash of the settings.
    """
    entries = {
        "training": fingerprint(config),
        "config": to_json(config),
        "seed": config.seed,
        "crop": config.crop,
        **origin,
    }
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in entries.items()
    }
