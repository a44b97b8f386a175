# SPDX-License-Identifier: Apache-2.0
"""`--crop stretch` from the training run to the pipeline: nobody mixes it up with padding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headpose_core.images.crop import Fit, crop_faces, crop_windows
from headpose_core.images.image_view import as_view
from headpose_core.learning.run.config import DistillConfig
from headpose_core.learning.run.initial_state import open_teachers
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig, crop_of, save_weights
from training.evaluation.models import TorchModel, open_models
from training.export import ExportConfig, export

BOX = np.array([[20.0, 10.0, 80.0, 120.0]])
PICTURE = np.random.default_rng(0).integers(0, 256, (140, 120, 3), dtype=np.uint8)


def weights(folder: Path, crop: str) -> Path:
    """A small network's file, as a run with this crop leaves it."""
    path = folder / f"{crop}.safetensors"
    save_weights(path, HeadPoseNet(NetworkConfig(width=8)), {"crop": crop})
    return path


@pytest.mark.parametrize("crop", ["pad", "stretch"])
def test_weights_and_model_file_get_the_crop_of_their_training(tmp_path: Path, crop: Fit) -> None:
    expected = crop_faces(as_view(PICTURE), crop_windows(BOX, crop))
    path = weights(tmp_path, crop)
    np.testing.assert_array_equal(TorchModel(path).crop(as_view(PICTURE), BOX), expected)
    export(ExportConfig(weights=path, out=tmp_path / "model.onnx"))
    model = HeadPoseModel.load(tmp_path / "model.onnx", device="cpu")
    assert model.metadata.crop == crop
    np.testing.assert_array_equal(model.crop(as_view(PICTURE), BOX), expected)


def test_teachers_of_another_crop_are_refused(tmp_path: Path) -> None:
    teachers = (weights(tmp_path, "pad"), weights(tmp_path, "stretch"))
    config = DistillConfig(data=("faces",), out=tmp_path / "run", teachers=teachers[:1])
    cpu = torch.device("cpu")
    assert open_teachers(config, cpu) is not None
    with pytest.raises(ValueError, match=r"teachers whose crop is 'stretch'.*got pad"):
        open_teachers(replace(config, crop="stretch"), cpu)
    with pytest.raises(ValueError, match="got pad and stretch"):
        open_teachers(replace(config, teachers=teachers), cpu)


def test_a_mean_of_models_has_one_crop(tmp_path: Path) -> None:
    padded, stretched = (str(weights(tmp_path, crop)) for crop in ("pad", "stretch"))
    (both,) = open_models([f"{stretched}+{stretched}"]).values()
    expected = crop_faces(as_view(PICTURE), crop_windows(BOX, "stretch"))
    np.testing.assert_array_equal(both.crop(as_view(PICTURE), BOX), expected)
    with pytest.raises(ValueError, match="one crop in a mean"):
        open_models([f"{padded}+{stretched}"])


def test_an_unknown_crop_is_refused() -> None:
    assert crop_of({}) == "pad"
    with pytest.raises(ValueError, match="expected 'crop' of weights as pad or stretch"):
        crop_of({"crop": "squeeze"})
