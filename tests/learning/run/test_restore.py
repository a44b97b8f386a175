# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from headpose_core.errors import ModelError
from headpose_core.learning.export.model_export import export_model, parity_crops
from headpose_core.learning.run.restore import restore_network
from headpose_core.learning.run.widen import widen
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig
from headpose_core.pose.shipped import DEFAULT_MODEL, model_path
from tests.learning.trained import trained
from tests.tiny_models import METADATA, write_tiny_model


def logits(network: HeadPoseNet, crops: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network(torch.from_numpy(crops)).numpy()


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig("resnet18", 8),
        NetworkConfig("lite", 8),
        NetworkConfig("res2net101", 8, (1, 2, 1, 1)),
    ],
)
def test_training_can_start_from_an_exported_file(config: NetworkConfig, tmp_path: Path) -> None:
    crops = parity_crops()
    network = trained(config, torch.from_numpy(crops))
    path = tmp_path / "model.onnx"
    export_model(network, METADATA, path)
    restored = restore_network(path, crops)
    assert restored.config == network.config
    np.testing.assert_allclose(logits(restored, crops), logits(network, crops), atol=0.02)
    # The normalisations are in tune: with the statistics of a batch it does about the same.
    in_training = logits(restored.train(), crops)
    np.testing.assert_allclose(in_training, logits(network, crops), atol=0.05)


def test_attention_is_restored_with_its_own_normalisation(tmp_path: Path) -> None:
    crops = parity_crops()
    network = trained(NetworkConfig("botnet101", 8, (1, 1, 1, 1)), torch.from_numpy(crops))
    export_model(network, METADATA, tmp_path / "model.onnx")
    restored = restore_network(tmp_path / "model.onnx", crops)
    np.testing.assert_allclose(logits(restored, crops), logits(network, crops), atol=0.02)


def test_training_can_start_from_the_shipped_model() -> None:
    crops = parity_crops()
    restored = restore_network(DEFAULT_MODEL, crops)
    shipped = HeadPoseModel.load(DEFAULT_MODEL, device="cpu", backend="onnxruntime").infer(crops)
    np.testing.assert_allclose(logits(restored, crops), shipped, atol=1e-3)


def test_a_resnet18_can_start_from_a_lite_file(tmp_path: Path) -> None:
    crops = parity_crops()
    network = trained(NetworkConfig("lite", 8), torch.from_numpy(crops))
    export_model(network, METADATA, tmp_path / "lite.onnx")
    wide = widen(restore_network(tmp_path / "lite.onnx", crops), NetworkConfig("resnet18", 16))
    np.testing.assert_allclose(logits(wide.eval(), crops), logits(network, crops), atol=0.02)


def test_an_int8_file_is_refused() -> None:
    with pytest.raises(ModelError, match=r"int8.onnx: expected a float model"):
        restore_network(model_path("ehpnet_lite_int8"), parity_crops())


def test_a_file_without_a_backbone_is_refused(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.onnx")
    with pytest.raises(ModelError, match=r"tiny.onnx: expected a network with one of the backb"):
        restore_network(path, parity_crops())
