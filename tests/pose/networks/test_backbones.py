# SPDX-License-Identifier: Apache-2.0
"""The backbones against what is published of them: image classifiers at 224x224, 1000 classes."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from headpose_core.pose.networks.backbones import BACKBONES, Architecture, ResNet
from headpose_core.pose.networks.blocks import BasicBlock, Bottleneck, Res2NetBlock, ResidualBlock
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig
from headpose_core.pose.networks.self_attention import AttentionBlock, SelfAttention
from tests.learning.trained import some_crops
from training.checks.describe import multiply_adds, parameter_count

CLASSES = 1000


def cost(architecture: Architecture, size: int = 224) -> tuple[int, int]:
    """Parameters and multiply-adds of the classifier that the backbone was published as."""
    with torch.device("meta"):  # shapes without numbers
        network = ResNet(architecture)
        images = torch.zeros(1, 3, size, size)
    features = network.num_features
    return (
        parameter_count(network) + features * CLASSES + CLASSES,
        multiply_adds(network, images) + features * CLASSES,
    )


def test_resnets_are_the_published_ones() -> None:
    # torchvision's model table: 11,689,512 and 1.814 G; 44,549,160 and 7.801 G.
    parameters, products = cost(BACKBONES["resnet18"])
    assert parameters == 11_689_512 and products == pytest.approx(1.814e9, abs=5e5)
    parameters, products = cost(BACKBONES["resnet101"])
    assert parameters == 44_549_160 and products == pytest.approx(7.801e9, abs=5e5)


def test_res2net101_is_the_published_one() -> None:
    # mmpretrain's table of the authors' weights: 45.21 M and 8.12 G, of which 0.05 G are
    # normalisation and pooling, as in its 7.85 G of ResNet101.
    parameters, products = cost(BACKBONES["res2net101"])
    assert parameters == pytest.approx(45.21e6, abs=5e3)
    assert products == pytest.approx(8.12e9 - 0.05e9, abs=1e7)


def test_botnet101_is_resnet101_with_attention() -> None:
    # In three blocks, 9 * 512 * 512 of the 3x3 convolution give way to 3 * 512 * 512 of queries,
    # keys and values and to two tables of 13 ways of 128 numbers.
    parameters, _ = cost(BACKBONES["botnet101"], 112)
    assert parameters == 44_549_160 - 3 * 6 * 512 * 512 + 3 * 2 * 13 * 128


def test_the_attention_costs_what_is_published_of_botnet50() -> None:
    # Srinivas et al. 2021, Table 1: 20.8 M parameters (without tables) and 102.98 G at 1024x1024.
    # We score the L ways that occur from a position, they all 2 L - 1: 127 of 64 in the first
    # block of the last stage, 63 of 32 in the other two, each twice and with 512 channels.
    ways = 2 * 512 * (64**2 * (127 - 64) + 2 * 32**2 * (63 - 32))
    tables = 3 * 2 * 127 * 128
    botnet50 = Architecture(Bottleneck, (3, 4, 6, 3), last_block=partial(AttentionBlock, side=64))
    parameters, products = cost(botnet50, 1024)
    assert parameters - tables == pytest.approx(20.8e6, abs=5e4)
    assert products + ways == pytest.approx(102.98e9, rel=2e-4)


def test_lite_costs_less_than_a_quarter_of_resnet18() -> None:
    images = torch.zeros(1, 3, 112, 112)
    lite, resnet18 = ResNet(BACKBONES["lite"]), ResNet(BACKBONES["resnet18"])
    assert 4 * multiply_adds(lite, images) < multiply_adds(resnet18, images)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "block", [BasicBlock, Bottleneck, Res2NetBlock, partial(AttentionBlock, side=7)]
)
def test_a_block_starts_as_its_shortcut(block: type[ResidualBlock], stride: int) -> None:
    made = block(16, 8, stride).eval()
    features = torch.randn(2, 16, 7, 7)
    expected = torch.relu(made.shortcut(features))
    assert torch.equal(made(features), expected)
    assert expected.shape == (2, made.outputs, 7 // stride + stride - 1, 7 // stride + stride - 1)


def test_parts_of_a_res2net_block_see_further_and_further() -> None:
    # One point lights up; through a chain of 3x3 convolutions of ones it spreads by a pixel for
    # each part that was passed, and the last part goes by.
    block = Res2NetBlock(64, 16, 1).eval()
    assert block.part == 6 and block.chained
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.fill_(1.0)
    seen: list[int] = []
    for part in block.parts:
        part.register_forward_hook(
            lambda module, inputs, output: seen.append(int((output[0, 0, 4] > 1.0).sum()))
        )
    point = torch.zeros(1, 64, 9, 9)
    point[0, 0, 4, 4] = 1000.0
    for norm in (block.conv1[1], *(part[1] for part in block.parts)):
        torch.nn.init.zeros_(norm.bias)
    block(point)
    assert seen == [3, 5, 7]


def attention_by_loops(layer: SelfAttention, features: torch.Tensor) -> torch.Tensor:
    """The definition: each position of each head by itself."""
    _, channels, height, width = features.shape
    depth = channels // 4
    qkv = layer.qkv(features)[0]
    result = torch.zeros(channels, height, width)
    middle = layer.side - 1
    for head in range(4):
        queries, keys, values = (
            qkv[kind * channels + head * depth : kind * channels + (head + 1) * depth]
            for kind in range(3)
        )
        for y in range(height):
            for x in range(width):
                query = queries[:, y, x] / depth**0.5
                scores = torch.zeros(height, width)
                for v in range(height):
                    for u in range(width):
                        way = layer.rows[middle + v - y] + layer.columns[middle + u - x]
                        scores[v, u] = query @ (keys[:, v, u] + way)
                share = scores.flatten().softmax(0).reshape(height, width)
                result[head * depth : (head + 1) * depth, y, x] = (values * share).sum((1, 2))
    return result


@pytest.mark.parametrize("shape", [(3, 3), (2, 3), (3, 1)])
def test_attention_is_what_it_is_defined_as(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = SelfAttention(8, side=3)
    features = 3 * torch.randn(1, 8, *shape)
    with torch.no_grad():
        expected = attention_by_loops(layer, features)
        torch.testing.assert_close(layer(features)[0], expected, atol=1e-5, rtol=1e-4)


def test_a_stride_averages_what_was_attended() -> None:
    torch.manual_seed(0)
    fine = AttentionBlock(32, 8, 1, side=4).eval()
    coarse = AttentionBlock(32, 8, 2, side=4).eval()
    coarse.load_state_dict(fine.state_dict(), strict=False)
    seen = {}
    for name, block in (("fine", fine), ("coarse", coarse)):
        block.norm.register_forward_pre_hook(
            lambda module, inputs, name=name: seen.update({name: inputs[0]})
        )
        block(torch.randn(1, 32, 4, 4, generator=torch.Generator().manual_seed(1)))
    quarters = seen["fine"].reshape(1, 8, 2, 2, 2, 2).mean(dim=(3, 5))
    torch.testing.assert_close(seen["coarse"], quarters)


def test_a_map_beyond_the_learned_positions_is_refused() -> None:
    network = HeadPoseNet(NetworkConfig("botnet101", 8, (1, 1, 1, 1))).eval()
    with pytest.raises(ValueError, match=r"at most 7x7, .* got 8x8; give smaller crops"):
        network(some_crops(128))


def test_heads_need_their_share_of_the_channels() -> None:
    with pytest.raises(ValueError, match="multiple of 4 channels, got 6"):
        SelfAttention(6, side=3)
