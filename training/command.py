# SPDX-License-Identifier: Apache-2.0
"""The command line of a training run, from its arguments to the end of its process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import tyro

from headpose_core.learning.run.config import RunConfig
from headpose_core.learning.run.distributed import end_process
from headpose_core.learning.run.trainer import train

Config = TypeVar("Config", bound=RunConfig)
SHORT = {"--backbone": "--network.backbone", "--width": "--network.width"}


def parse(kind: type[Config], description: str | None, args: Sequence[str]) -> Config:
    """Settings of a run from its arguments; a mistake ends the process with a message."""
    long = []
    for arg in args:
        name, equals, value = arg.partition("=")
        long.append(SHORT.get(name, name) + equals + value)
    return tyro.cli(kind, description=description, args=long)


def run(kind: type[Config], description: str | None, args: Sequence[str]) -> None:
    """Train as the arguments say, and tell where the weights are."""
    weights = train(parse(kind, description, args))
    print(f"weights: {weights}")
    end_process()
