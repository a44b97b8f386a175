# SPDX-License-Identifier: Apache-2.0
"""Settings of a training run. The defaults are the paper's (section 4.1)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headpose_core.learning.augment import AugmentConfig
from headpose_core.learning.losses import HardLossConfig
from headpose_core.learning.network import NetworkConfig
from headpose_core.learning.optimizer import OptimizerConfig
from headpose_core.learning.schedule import ScheduleConfig


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    data: tuple[Path, ...]
    """Directories of rendered shards; new shards are picked up at every epoch."""
    out: Path
    """Directory of the run. The same command on it again resumes."""
    init: Path | None = None
    """Weights to start from (.safetensors), or an exported model (.onnx); a narrower network is
    widened."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: HardLossConfig = field(default_factory=HardLossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    detected_only: bool = False
    """Leave out the rendered faces that the detector misses."""
    zero_pose_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Yaw, pitch, roll of a constant rotation in the head's frame that is added to every label:
    what a data set calls straight ahead. `training.evaluate --fit-zero-pose` measures it."""
    seed: int = 0
    holdout_share: float = 0.02
    """Share of the faces, by a hash of their seed, that is measured and never trained on."""
    holdout_faces: int = 1000
    """At most so many of them are measured."""
    holdout_every: int = 1
    """Epochs between two measurements."""
    checkpoint_minutes: float = 5.0
    workers: int = 0
    """Processes that prepare views; 0 prepares them between steps, best on few cores."""
    threads: int = 0
    """CPU threads of PyTorch; 0 is its own choice."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:1`."""


# What may differ between a run and its resumption.
_FREE_TO_CHANGE = ("out", "threads", "workers", "device", "checkpoint_minutes", "holdout_every")


def to_json(config: TrainConfig) -> dict[str, Any]:
    """The settings as plain JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return plain


def changed_settings(saved: dict[str, Any], config: TrainConfig) -> list[str]:
    """Names of the settings in which a saved run differs from `config`."""
    current = to_json(config)
    # A setting that is newer than the saved run had its default in it.
    before = to_json(TrainConfig(data=config.data, out=config.out)) | saved
    names = sorted((before.keys() | current.keys()) - set(_FREE_TO_CHANGE))
    return [name for name in names if before.get(name) != current.get(name)]


def fingerprint(config: TrainConfig) -> str:
    """Short hash of the settings that decide the result, for the metadata of the weights."""
    decisive = {k: v for k, v in to_json(config).items() if k not in _FREE_TO_CHANGE}
    text = json.dumps(decisive, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
