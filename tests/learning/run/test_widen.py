# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from headpose_core.learning.run.widen import narrow, widen
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig
from tests.learning.trained import some_crops, trained


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (NetworkConfig("resnet18", 8), NetworkConfig("resnet18", 16)),
        (NetworkConfig("resnet18", 8), NetworkConfig("resnet18", 24)),
        (NetworkConfig("lite", 8), NetworkConfig("resnet18", 16)),
        (NetworkConfig("lite", 8), NetworkConfig("resnet18", 8)),
        (
            NetworkConfig("resnet101", 4, (1, 2, 1, 1)),
            NetworkConfig("resnet101", 8, (1, 2, 1, 1)),
        ),
    ],
)
def test_widening_keeps_the_function(narrow: NetworkConfig, wide: NetworkConfig) -> None:
    small = trained(narrow)
    large = widen(small, wide).eval()
    assert large.config == wide.completed()
    torch.testing.assert_close(large(some_crops()), small(some_crops()), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        (NetworkConfig("resnet18", 8), NetworkConfig("resnet18", 24)),
        (NetworkConfig("lite", 8), NetworkConfig("resnet18", 16)),
        (NetworkConfig("resnet101", 4, (1, 2, 1, 1)), NetworkConfig("resnet101", 8, (1, 2, 1, 1))),
    ],
)
def test_narrowing_undoes_widening(small: NetworkConfig, large: NetworkConfig) -> None:
    before = trained(small)
    after = narrow(widen(before, large), small)
    torch.testing.assert_close(after(some_crops()), before(some_crops()), atol=1e-4, rtol=1e-4)


def test_a_network_that_was_never_widened_is_not_narrowed() -> None:
    wide = HeadPoseNet(NetworkConfig("lite", 16))
    with pytest.raises(ValueError, match="expected a divisor of 16 channels and a backbone"):
        narrow(wide, NetworkConfig("resnet18", 8))


def test_copies_of_a_channel_part_when_the_wide_network_learns() -> None:
    wide = widen(trained(NetworkConfig(width=8)), NetworkConfig(width=16)).train()
    wide(some_crops()).square().mean().backward()
    first, second = wide.backbone.stem[0].weight.grad.chunk(2)
    assert not torch.allclose(first, second, rtol=0.01)


def test_a_network_that_fits_already_is_taken_as_it_is() -> None:
    network = HeadPoseNet(NetworkConfig("botnet101", 8, (1, 1, 1, 1)))
    assert widen(network, NetworkConfig("botnet101", 8, (1, 1, 1, 1))) is network


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (NetworkConfig("resnet18", 8), NetworkConfig("resnet18", 12)),
        (NetworkConfig("resnet18", 8), NetworkConfig("lite", 16)),
        (NetworkConfig("resnet18", 8), NetworkConfig("resnet18", 16, (2, 2, 3, 2))),
        (
            NetworkConfig("res2net101", 8, (1, 1, 1, 1)),
            NetworkConfig("res2net101", 16, (1, 1, 1, 1)),
        ),
    ],
)
def test_networks_that_cannot_be_widened_are_refused(
    narrow: NetworkConfig, wide: NetworkConfig
) -> None:
    with pytest.raises(ValueError, match="expected a multiple of 8 channels and a backbone"):
        widen(HeadPoseNet(narrow), wide)
