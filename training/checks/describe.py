# SPDX-License-Identifier: Apache-2.0
"""Print what the backbones cost at 112x112: `python -m training.checks.describe`.

Parameters and multiply-adds are those of the whole network with its three classifiers; the file
is the exported one.
"""

from __future__ import annotations

import torch
import tyro
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from headpose_core.images.crop import CROP_SIZE
from headpose_core.learning.export.model_export import fold_normalisation
from headpose_core.pose.networks.backbones import BACKBONES
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig


def parameter_count(network: nn.Module) -> int:
    """Numbers that training finds."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, images: torch.Tensor) -> int:
    """Multiplications, each with its addition, of convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(images)
    return int(counter.get_total_flops()) // 2


def file_bytes(network: HeadPoseNet) -> int:
    """Size of the exported file, but for the few kilobytes of its graph: weights in float16."""
    folded = fold_normalisation(network)
    statistics = sum(buffer.numel() for buffer in folded.buffers())
    return 2 * parameter_count(folded) + 4 * statistics


def row(name: str) -> str:
    """One backbone as a line of the table."""
    network = HeadPoseNet(NetworkConfig(name))
    crop = torch.zeros(1, CROP_SIZE, CROP_SIZE, 3, dtype=torch.uint8)
    cells = [
        name,
        str(network.config.width),
        " ".join(map(str, network.config.depths)),
        f"{parameter_count(network) / 1e6:.2f} M",
        f"{multiply_adds(network, crop) / 1e6:.0f} M",
        f"{file_bytes(network) / 1e6:.1f} MB",
    ]
    return f"| {' | '.join(cells)} |"


def describe(backbones: tuple[str, ...] = tuple(BACKBONES)) -> None:
    """Print backbones, by default all of them, as a Markdown table."""
    head = "| backbone | width | depths | parameters | multiply-adds | float16 file |"
    print(head, "|---|---|---|---|---|---|", *map(row, backbones), sep="\n")


def main() -> None:
    """Command line."""
    tyro.cli(describe, description=__doc__)


if __name__ == "__main__":
    main()
