# SPDX-License-Identifier: Apache-2.0
"""The head pose network: a backbone, three classifiers of 62 bins, and its weights file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from headpose_core.images.crop import CROP_RULES, Fit
from headpose_core.output_files import atomic_write
from headpose_core.pose.bins import NUM_BINS
from headpose_core.pose.networks.backbones import ResNet, architecture_of

WEIGHTS_FORMAT = "headpose-weights/1"
# Mean and standard deviation of natural images, RGB, in grey levels (the usual ImageNet figures).
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class NetworkConfig:
    """What is needed to build a network; stored beside its weights."""

    backbone: str = "resnet18"
    """Name in `backbones.BACKBONES`."""
    width: int = 0
    """Channels of the first stage; 0 is the published number (64, of lite 32)."""
    depths: tuple[int, ...] = ()
    """Blocks of each of the four stages; none given is the published numbers."""

    def completed(self) -> NetworkConfig:
        """The same network with its width and depths written out.

        Raises ValueError for a backbone, a width or depths that make no network.
        """
        architecture = architecture_of(self.backbone, self.width, self.depths)
        return replace(self, width=architecture.width, depths=architecture.depths)


class HeadPoseNet(nn.Module):
    """Crops (N, S, S, 3) uint8 RGB to logits (N, 3, 62): yaw, pitch, roll (paper, section 3.1).

    The normalisation is part of the network, so that nobody can feed it the wrong one. S is
    112 in use; any size from 32 up works, because the backbone ends in a global average pool
    (botnet101: up to 112). `config` is the given one with its width and depths written out.
    """

    def __init__(self, config: NetworkConfig = NetworkConfig()) -> None:
        super().__init__()
        self.config = config.completed()
        architecture = architecture_of(config.backbone, config.width, config.depths)
        self.backbone = ResNet(architecture)
        # The three classifiers see the same features, so that one matrix holds them all.
        self.classifiers = nn.Linear(self.backbone.num_features, 3 * NUM_BINS)
        self.pixel_mean: Tensor
        self.pixel_scale: Tensor
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1))
        self.register_buffer("pixel_scale", 1.0 / torch.tensor(PIXEL_STD).view(1, 3, 1, 1))

    def forward(self, crops: Tensor) -> Tensor:
        images = crops.permute(0, 3, 1, 2).float()
        features = self.backbone((images - self.pixel_mean) * self.pixel_scale)
        logits: Tensor = self.classifiers(features).reshape(-1, 3, NUM_BINS)
        return logits


def save_weights(path: Path, network: HeadPoseNet, metadata: dict[str, str]) -> None:
    """Write weights as safetensors with the network's config and `metadata`, atomically."""
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    config = json.dumps(dataclasses.asdict(network.config))
    header = {**metadata, "format": WEIGHTS_FORMAT, "network": config}
    with atomic_write(path) as unfinished:
        save_file(tensors, unfinished, metadata=header)


def load_weights(path: Path) -> tuple[HeadPoseNet, dict[str, str]]:
    """Network in evaluation mode and the metadata of its weights file.

    Raises FileNotFoundError, and ValueError when the file is not one that `save_weights` wrote.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"expected a weights file (.safetensors) at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    if metadata.get("format") != WEIGHTS_FORMAT:
        found = metadata.get("format", "none")
        raise ValueError(f"expected format {WEIGHTS_FORMAT!r} in {path}, got {found!r}")
    network = HeadPoseNet(NetworkConfig(**json.loads(metadata["network"])))
    network.load_state_dict(tensors)
    return network.eval(), metadata


def crop_of(notes: Mapping[str, str]) -> Fit:
    """How faces were cropped for weights with this metadata; padded when they do not say."""
    crop = notes.get("crop", "pad")
    for fit in CROP_RULES:
        if crop == fit:
            return fit
    raise ValueError(f"expected 'crop' of weights as {' or '.join(CROP_RULES)}, got {crop!r}")
