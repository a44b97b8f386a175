# SPDX-License-Identifier: Apache-2.0
"""Self-attention over a feature map, for the last stage of BotNet.

Srinivas et al. 2021, "Bottleneck Transformers for Visual Recognition" (section 3, Fig. 1 and 4).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from headpose_core.pose.networks.blocks import ResidualBlock, conv_bn, projection, zero_initialised

HEADS = 4


class SelfAttention(nn.Module):
    """Multi-head self-attention with 2-D relative positions: (N, C, H, W) to the same shape.

    Position q looks at position k with the score q . k + q . (row[dy] + column[dx]), where
    (dx, dy) is the way from one to the other. The two tables are learned for ways of less than
    `side`, so that every map up to `side` x `side` can be attended. Raises ValueError for a
    larger one.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        if channels % HEADS:
            raise ValueError(f"expected a multiple of {HEADS} channels, got {channels}")
        self.side = side
        depth = channels // HEADS
        self.scale = depth**-0.5
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.rows = nn.Parameter(self.scale * torch.randn(2 * side - 1, depth))
        self.columns = nn.Parameter(self.scale * torch.randn(2 * side - 1, depth))

    def forward(self, features: Tensor) -> Tensor:
        channels, height, width = (int(size) for size in features.shape[1:])
        if max(height, width) > self.side:
            raise ValueError(
                f"expected a feature map of at most {self.side}x{self.side}, which are the "
                f"relative positions that are learned, got {height}x{width}; give smaller crops"
            )
        shape = (-1, 3, HEADS, channels // HEADS, height * width)
        queries, keys, values = self.qkv(features).reshape(shape).unbind(dim=1)
        queries = self.scale * queries.transpose(2, 3)  # (N, HEADS, H * W, depth)
        scores = queries @ keys + self.position_scores(queries, height, width)
        attended: Tensor = values @ scores.softmax(dim=-1).transpose(2, 3)
        return attended.reshape(-1, channels, height, width)

    def position_scores(self, queries: Tensor, height: int, width: int) -> Tensor:
        """Scores (N, HEADS, H * W, H * W) of queries (N, HEADS, H * W, depth) by position only."""
        grid = queries.reshape(-1, HEADS, height, width, int(queries.shape[-1]))
        across = way_scores(grid, self.columns)  # (N, HEADS, H, W, W)
        down = way_scores(grid.transpose(2, 3), self.rows).transpose(2, 3)  # (N, HEADS, H, W, H)
        scores = down.unsqueeze(-1) + across.unsqueeze(-2)  # (N, HEADS, H, W, H, W)
        return scores.reshape(-1, HEADS, height * width, height * width)


def way_scores(queries: Tensor, table: Tensor) -> Tensor:
    """Scores of queries (N, HEADS, A, B, depth) for all ways along B: (N, HEADS, A, B, B).

    table: (2 S - 1, depth), the way of d steps at d + S - 1.
    """
    _, heads, lines, size, depth = (int(length) for length in queries.shape)
    steps = torch.arange(size, device=table.device)
    keys = table[steps - steps.unsqueeze(1) + len(table) // 2]  # from, to, depth
    by_start = queries.permute(3, 0, 1, 2, 4).reshape(size, -1, depth)
    scores = by_start @ keys.transpose(1, 2)
    return scores.reshape(size, -1, heads, lines, size).permute(1, 2, 3, 0, 4)


class AttentionBlock(ResidualBlock):
    """A bottleneck with self-attention in place of its 3x3 convolution. `outputs` = 4 `width`.

    A stride is an average over 2x2 after the attention, which cannot have one.
    """

    def __init__(self, inputs: int, width: int, stride: int, side: int) -> None:
        super().__init__()
        self.outputs = 4 * width
        self.stride = stride
        self.conv1 = conv_bn(inputs, width, 1)
        self.attention = SelfAttention(width, side)
        self.norm = nn.BatchNorm2d(width)
        self.conv3 = zero_initialised(conv_bn(width, self.outputs, 1))
        self.shortcut = projection(inputs, self.outputs, stride)

    def residual(self, features: Tensor) -> Tensor:
        attended = self.attention(functional.relu(self.conv1(features)))
        if self.stride > 1:
            attended = functional.avg_pool2d(attended, self.stride, ceil_mode=True)
        branch: Tensor = self.conv3(functional.relu(self.norm(attended)))
        return branch
