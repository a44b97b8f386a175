# SPDX-License-Identifier: Apache-2.0
"""The command line of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import tyro

from headpose_core.learning.config import RunConfig

Config = TypeVar("Config", bound=RunConfig)
SHORT = {"--backbone": "--network.backbone", "--width": "--network.width"}


def parse(kind: type[Config], description: str | None, args: Sequence[str]) -> Config:
    """Settings of a run from its arguments; a mistake ends the process with a message."""
    long = []
    for arg in args:
        name, equals, value = arg.partition("=")
        long.append(SHORT.get(name, name) + equals + value)
    return tyro.cli(kind, description=description, args=long)
