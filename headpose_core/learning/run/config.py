# SPDX-License-Identifier: Apache-2.0
"""Settings of a training run. The defaults are the paper's (section 4.1)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from headpose_core.images.crop import Fit
from headpose_core.learning.data.augment import AugmentConfig
from headpose_core.learning.data.skipped_faces import OnError
from headpose_core.learning.run.losses import DistillLossConfig, HardLossConfig
from headpose_core.learning.run.optimizer import OptimizerConfig
from headpose_core.learning.run.schedule import ScheduleConfig
from headpose_core.pose.networks.network import NetworkConfig


@dataclass(frozen=True)
class RunConfig:
    """What every training run is made of; the subclasses add what it learns from."""

    data: tuple[str, ...]
    """Directories of rendered shards, whose new shards are picked up at every epoch; and data
    sets in their official layouts as `KIND:ROOT`, such as `300w-lp:/data/300W_LP`."""
    out: Path
    """Directory of the run. The same command on it again resumes."""
    init: Path | None = None
    """Weights to start from (.safetensors), or an exported model (.onnx); a narrower network is
    widened, and one that was widened can be made narrow again."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """`--backbone NAME` is short for `--network.backbone NAME`, `--width N` alike."""
    crop: Fit = "pad"
    """How a box becomes a square: padded (paper, section 3.1), or stretched to compare."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    on_error: OnError = "skip"
    """What to do about broken files of a data set: leave them out and count them, or stop."""
    detected_only: bool = False
    """Leave out the rendered faces that the detector misses."""
    zero_pose_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Yaw, pitch, roll of a constant rotation in the head's frame that is added to rendered
    labels: what a data set calls straight ahead. `training.evaluate --fit-zero-pose` fits it."""
    seed: int = 0
    holdout_share: float = 0.02
    """Share of the faces, by a hash of their person, photo or video, that is measured and never
    trained on."""
    holdout_faces: int = 1000
    """At most so many of them are measured."""
    holdout_every: int = 1
    """Epochs between two measurements."""
    checkpoint_minutes: float = 5.0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of convolutions and matrix products (autocast); weights and losses stay in float32."""
    workers: int = 0
    """Processes that prepare views; 0 prepares them between steps, best on few cores."""
    threads: int = 0
    """CPU threads of PyTorch; 0 is its own choice."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:1`."""


@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """A run that learns from labels: a teacher, or a student without teachers."""

    loss: HardLossConfig = field(default_factory=HardLossConfig)


@dataclass(frozen=True)
class DistillConfig(RunConfig):
    """A run that learns from what teachers say (paper, section 3.3)."""

    teachers: tuple[Path, ...] = field(kw_only=True)
    """Weights of trained networks (.safetensors); the target is the mean of their softmax
    outputs on the very pixels that the student sees."""
    loss: DistillLossConfig = field(default_factory=DistillLossConfig)
    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(epochs=200))
    teacher_cache: bool = False
    """Keep what the teachers said about a view, for the next time that the same view comes; for
    runs with `--schedule.views-per-face`."""

    def __post_init__(self) -> None:
        if not self.teachers:
            raise ValueError("teachers: expected one weights file or more, got none")
        if self.teacher_cache and not self.schedule.views_per_face:
            raise ValueError(
                "teacher_cache: expected a run in which views come again, because a view that is "
                "new each time is never found in a cache; give --schedule.views-per-face"
            )
        if self.teacher_cache and len(self.schedule.crop_sizes) > 1:
            raise ValueError(
                "teacher_cache: expected one crop size, because a view of another size is another "
                f"view; got {self.schedule.crop_sizes}"
            )


# What may differ between a run and its resumption.
_FREE_TO_CHANGE = ("out", "threads", "workers", "device", "checkpoint_minutes", "holdout_every")


def to_json(config: RunConfig) -> dict[str, Any]:
    """The settings as plain JSON values; those of the network written out."""
    complete = dataclasses.replace(config, network=config.network.completed())
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(complete), default=str))
    return plain


def changed_settings(saved: dict[str, Any], config: RunConfig) -> list[str]:
    """Dotted names of the settings in which a saved run differs from `config`."""
    current = _decisive(to_json(config))
    # A setting that is newer than the saved run had its default in it.
    required = {
        item.name: getattr(config, item.name)
        for item in dataclasses.fields(config)
        if item.default is item.default_factory is dataclasses.MISSING
    }
    before = _decisive(to_json(type(config)(**required))) | _decisive(saved)
    return sorted(
        name for name in before.keys() | current.keys() if before.get(name) != current.get(name)
    )


def fingerprint(config: RunConfig) -> str:
    """Short hash of the settings that decide the result, for the metadata of the weights."""
    text = json.dumps(_decisive(to_json(config)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _decisive(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The settings that decide the result, by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _decisive(value, f"{prefix}{name}.")
        elif prefix or name not in _FREE_TO_CHANGE:
            flat[prefix + name] = value
    return flat
