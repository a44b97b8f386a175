# SPDX-License-Identifier: Apache-2.0
"""Models that are measured: found by their names, joined, each with the crop of its training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headpose_core.errors import ModelError
from headpose_core.images.image_view import as_view
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig, save_weights
from tests.benchmarks.peer_files import write_peer, write_toml
from tests.tiny_models import write_tiny_model
from training.evaluation.models import Ensemble, open_models


def test_a_network_that_learned_stretched_crops_gets_them(tmp_path: Path) -> None:
    network = HeadPoseNet(NetworkConfig("resnet18", 8))
    for fit in ("pad", "stretch"):
        save_weights(tmp_path / f"{fit}.safetensors", network, {"crop": fit})
    white = np.zeros((100, 100, 3), np.uint8)
    white[20:80, 40:60] = 255
    files = [str(tmp_path / f"{fit}.safetensors") for fit in ("pad", "stretch")]
    models = open_models(files)
    seen = {
        name: model.crop(as_view(white), [[40, 20, 60, 80]]).mean()
        for name, model in models.items()
    }
    assert seen["stretch"] == 255 and seen["pad"] == pytest.approx(255 / 3, rel=0.05)
    with pytest.raises(ModelError, match="pad and stretch"):
        open_models(["+".join(files)])


def test_names_of_models_are_told_apart(tmp_path: Path) -> None:
    tiny = write_tiny_model(tmp_path / "tiny.onnx")
    plus = write_tiny_model(tmp_path / "a+b=c.onnx")
    assert list(open_models([str(tiny), f"again={tiny}", str(plus)])) == ["tiny", "again", "a+b=c"]
    with pytest.raises(ModelError, match="NAME="):
        open_models([str(tiny), str(tiny)])
    write_peer(tmp_path)
    peer = write_toml(tmp_path, input="size = 16", output="")
    with pytest.raises(ModelError, match="TOML"):
        open_models([f"{tiny}+{peer}"])


def test_the_mean_of_models_is_that_of_their_probabilities(tmp_path: Path) -> None:
    # One model is sure, the other spreads over many bins: the mean of logits would be neither.
    members = [
        HeadPoseModel.load(write_tiny_model(tmp_path / f"{i}.onnx", sharpness=s))
        for i, s in enumerate((4.0, 0.02))
    ]
    crops = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3)).astype(np.uint8)
    mean = np.exp(Ensemble(members).infer(crops).astype(np.float64))
    singles = [np.exp(member.infer(crops).astype(np.float64)) for member in members]
    singles = [single / single.sum(axis=-1, keepdims=True) for single in singles]
    np.testing.assert_allclose(mean, (singles[0] + singles[1]) / 2, atol=1e-5)
