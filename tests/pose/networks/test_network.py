# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from headpose_core.pose.networks.backbones import BACKBONES
from headpose_core.pose.networks.network import (
    HeadPoseNet,
    NetworkConfig,
    load_weights,
    save_weights,
)
from tests.learning.trained import some_crops, trained

SMALL = NetworkConfig(width=8)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("size", [32, 80, 112])
def test_any_crop_size_gives_three_times_62_scores(backbone: str, size: int) -> None:
    network = HeadPoseNet(NetworkConfig(backbone, width=8, depths=(1, 1, 1, 2)))
    logits = network.eval()(some_crops(size))
    assert logits.shape == (4, 3, 62) and logits.dtype == torch.float32


def test_the_order_of_the_channels_matters() -> None:
    network, crops = trained(SMALL), some_crops()
    assert not torch.allclose(network(crops), network(crops.flip(3)), atol=1e-3)


def test_weights_survive_a_file(tmp_path: Path) -> None:
    network = trained(SMALL)
    save_weights(tmp_path / "w.safetensors", network, {"training": "abc"})
    loaded, metadata = load_weights(tmp_path / "w.safetensors")
    assert metadata["training"] == "abc" and loaded.config == network.config
    assert torch.equal(network(some_crops()), loaded(some_crops()))
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_files_that_are_not_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected a weights file"):
        load_weights(tmp_path / "none.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_weights(tmp_path / "torn.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="expected format 'headpose-weights/1'"):
        load_weights(tmp_path / "other.safetensors")


def test_weights_name_the_width_and_depths_of_their_network(tmp_path: Path) -> None:
    network = HeadPoseNet(NetworkConfig("botnet101", width=8, depths=(1, 1, 1, 1)))
    save_weights(tmp_path / "w.safetensors", network, {})
    loaded, _ = load_weights(tmp_path / "w.safetensors")
    assert loaded.config == NetworkConfig("botnet101", 8, (1, 1, 1, 1))
    assert NetworkConfig("lite").completed() == NetworkConfig("lite", 32, (2, 2, 2, 2))


@pytest.mark.parametrize(
    "config",
    [NetworkConfig(width=-1), NetworkConfig(depths=(2, 2, 2)), NetworkConfig(depths=(1, 1, 0, 1))],
)
def test_sizes_that_make_no_network_are_refused(config: NetworkConfig) -> None:
    with pytest.raises(ValueError, match="expected a width of 1 or more and 4 depths"):
        HeadPoseNet(config)


def test_an_unknown_backbone_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"resnet18.*got 'resnet19'"):
        HeadPoseNet(NetworkConfig(backbone="resnet19"))
