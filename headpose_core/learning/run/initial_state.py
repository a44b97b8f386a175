# SPDX-License-Identifier: Apache-2.0
"""What a training run starts from: its network, its faces, its teachers."""

from __future__ import annotations

import torch

from headpose_core.images.crop import CROP_SIZE
from headpose_core.learning.data.datasets import plain_views
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.learning.run.config import DistillConfig, RunConfig
from headpose_core.learning.run.restore import restore_network
from headpose_core.learning.run.teachers import CachedTeachers, Teachers
from headpose_core.learning.run.widen import narrow, widen
from headpose_core.pose.networks.network import HeadPoseNet, load_weights

TEACHER_CACHE = "teachers.cache"
# Measured with PyTorch 2.13: 4 to 7 end in a segmentation fault of the backward pass.
LEAST_WIDTH = 8
# Enough for the statistics of every channel.
CALIBRATION_FACES = 256


def open_pool(config: RunConfig) -> FacePool:
    """The faces of a run; none is read yet."""
    return FacePool(
        config.data,
        holdout_share=config.holdout_share,
        detected_only=config.detected_only,
        zero_pose_deg=config.zero_pose_deg,
        on_error=config.on_error,
    )


def initial_network(config: RunConfig, faces: FacePool) -> HeadPoseNet:
    """A new network, or the one of `config.init`, made wider or narrower as the config asks.

    Raises ValueError for a network that cannot be trained.
    """
    width = config.network.completed().width
    if width < LEAST_WIDTH:
        raise ValueError(
            f"expected a width of {LEAST_WIDTH} or more, got {width}: PyTorch's convolutions "
            "on a CPU destroy memory in training when they are narrower"
        )
    if config.init is None:
        return HeadPoseNet(config.network)
    if config.init.suffix == ".onnx":
        faces.rescan()
        crops, _ = plain_views(faces, faces.training[:CALIBRATION_FACES], CROP_SIZE, config.crop)
        network = restore_network(config.init, crops)
    else:
        network, _ = load_weights(config.init)
    change = narrow if width < network.config.width else widen
    return change(network, config.network)


def open_teachers(config: RunConfig, device: torch.device) -> Teachers | None:
    """The teachers of a distillation; None for a run that learns from labels.

    Raises ValueError when they were trained with another crop: they see the student's.
    """
    if not isinstance(config, DistillConfig):
        return None
    asked = (config.teachers, config.loss.temperature, device, getattr(torch, config.precision))
    teachers = (
        CachedTeachers(*asked, config.out / TEACHER_CACHE)
        if config.teacher_cache
        else Teachers(*asked)
    )
    if teachers.crops != {config.crop}:
        raise ValueError(
            f"expected teachers whose crop is '{config.crop}', as the student's, got "
            f"{' and '.join(sorted(teachers.crops))}; give --crop, or other teachers"
        )
    return teachers
