# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from headpose_core.learning.backbones import resnet18
from headpose_core.learning.network import (
    HeadPoseNet,
    NetworkConfig,
    load_weights,
    save_weights,
)
from headpose_core.learning.widen import widen

SMALL = NetworkConfig(width=8)


def some_crops(size: int = 112) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (4, size, size, 3), dtype=torch.uint8, generator=generator)


def trained(config: NetworkConfig) -> HeadPoseNet:
    """A network whose normalisations and branches are not at their initial values."""
    torch.manual_seed(1)
    network = HeadPoseNet(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    network.train()(some_crops())
    return network.eval()


def test_resnet18_has_the_published_number_of_parameters() -> None:
    # 11,689,512 of the published network without its 1000 classes (512 * 1000 + 1000).
    count = sum(parameter.numel() for parameter in resnet18().parameters())
    assert count == 11_689_512 - 513_000


@pytest.mark.parametrize("size", [48, 64, 112])
def test_any_crop_size_gives_three_times_62_scores(size: int) -> None:
    logits = HeadPoseNet(SMALL).eval()(some_crops(size))
    assert logits.shape == (4, 3, 62) and logits.dtype == torch.float32


def test_the_order_of_the_channels_matters() -> None:
    network, crops = trained(SMALL), some_crops()
    assert not torch.allclose(network(crops), network(crops.flip(3)), atol=1e-3)


def test_weights_survive_a_file(tmp_path: Path) -> None:
    network = trained(SMALL)
    save_weights(tmp_path / "w.safetensors", network, {"training": "abc"})
    loaded, metadata = load_weights(tmp_path / "w.safetensors")
    assert metadata["training"] == "abc" and loaded.config == SMALL
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


def test_an_unknown_backbone_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"resnet18.*got 'resnet19'"):
        HeadPoseNet(NetworkConfig(backbone="resnet19"))


@pytest.mark.parametrize("factor", [2, 3])
def test_widening_keeps_the_function(factor: int) -> None:
    narrow = trained(SMALL)
    wide = widen(narrow, NetworkConfig(width=8 * factor)).eval()
    assert wide.backbone.num_features == factor * narrow.backbone.num_features
    torch.testing.assert_close(wide(some_crops()), narrow(some_crops()), atol=1e-4, rtol=1e-4)


def test_copies_of_a_channel_part_when_the_wide_network_learns() -> None:
    wide = widen(trained(SMALL), NetworkConfig(width=16)).train()
    wide(some_crops()).square().mean().backward()
    first, second = wide.backbone.stem[0].weight.grad.chunk(2)
    assert not torch.allclose(first, second, rtol=0.01)


def test_widening_needs_a_multiple_of_the_width() -> None:
    with pytest.raises(ValueError, match="multiple of 8 channels"):
        widen(HeadPoseNet(SMALL), NetworkConfig(width=12))
