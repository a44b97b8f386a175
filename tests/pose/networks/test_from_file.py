# SPDX-License-Identifier: Apache-2.0
"""The network of a model file is found by its weights alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from headpose_core.errors import ModelError
from headpose_core.learning.export.model_export import export_model, parity_crops
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.networks.from_file import read_network
from headpose_core.pose.networks.network import NetworkConfig
from headpose_core.pose.shipped import model_path
from tests.learning.trained import trained
from tests.tiny_models import METADATA


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig("resnet18", 8),
        NetworkConfig("resnet101", 8, (1, 2, 1, 1)),
        NetworkConfig("res2net101", 8, (1, 1, 2, 1)),
        NetworkConfig("botnet101", 8, (1, 1, 1, 2)),
        NetworkConfig("lite", 16),
    ],
    ids=lambda config: config.backbone,
)
def test_it_computes_what_the_file_does(config: NetworkConfig, tmp_path: Path) -> None:
    path, crops = tmp_path / "model.onnx", parity_crops()
    export_model(trained(config), METADATA, path)
    network = read_network(path.read_bytes())
    assert network.config == config.completed()
    with torch.inference_mode():
        logits = network(torch.from_numpy(crops)).numpy()
    expected = HeadPoseModel.load(path, device="cpu", backend="onnxruntime").infer(crops)
    np.testing.assert_allclose(logits, expected, atol=1e-3)


def test_other_files_are_refused(tiny_model_file: Path) -> None:
    with pytest.raises(ModelError, match="float model for PyTorch"):
        read_network(model_path("ehpnet_lite_int8").read_bytes())
    with pytest.raises(ModelError, match="one of the backbones"):
        read_network(tiny_model_file.read_bytes())
