# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from headpose_core.images.crop import CROP_RULE
from headpose_core.learning.export.model_export import (
    export_model,
    fold_normalisation,
    parity_crops,
    round_to_half,
)
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.networks.backbones import BACKBONES
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig, save_weights
from tests.learning.drawn_faces import write_shard
from tests.learning.trained import trained
from tests.places import REPOSITORY
from tests.tiny_models import METADATA
from training.export import ExportConfig, export


def like_trained(config: NetworkConfig) -> HeadPoseNet:
    """A network in the state of one that was trained on the test crops."""
    return trained(config, torch.from_numpy(parity_crops()))


@pytest.fixture(scope="module")
def network() -> HeadPoseNet:
    return like_trained(NetworkConfig(width=8))


def logits(network: HeadPoseNet, crops: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network(torch.from_numpy(crops)).numpy()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_can_be_exported(backbone: str, tmp_path: Path) -> None:
    network = like_trained(NetworkConfig(backbone, 8, (1, 1, 1, 2)))
    path = tmp_path / "model.onnx"
    assert export_model(network, METADATA, path) <= 1e-4
    model, crops = HeadPoseModel.load(path, backend="onnxruntime"), parity_crops()
    expected = logits(network, crops)
    assert np.ptp(expected, axis=0).max() > 0.5  # the crops are told apart
    for some in (crops[:1], crops[:3], crops):
        np.testing.assert_allclose(model.infer(some), expected[: len(some)], atol=0.02)


def test_an_int8_file_beside_it(network: HeadPoseNet, tmp_path: Path, capsys) -> None:
    write_shard(tmp_path / "shards", 0, 24)
    save_weights(tmp_path / "weights.safetensors", network, {})
    out = tmp_path / "model.onnx"
    shards = f"rendered:{tmp_path / 'shards'}"
    export(ExportConfig(tmp_path / "weights.safetensors", out, int8=(shards,), int8_faces=16))
    assert "int8 changes angles of 16 faces by 0." in capsys.readouterr().out
    before, after = (HeadPoseModel.load(tmp_path / f"model{end}.onnx") for end in ("", "_int8"))
    assert (after.precision, after.metadata.name) == ("int8", f"{before.metadata.name}_int8")


def test_folding_keeps_the_function_and_leaves_no_normalisation(network: HeadPoseNet) -> None:
    folded = fold_normalisation(network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    crops = parity_crops()
    np.testing.assert_allclose(logits(folded, crops), logits(network, crops), atol=1e-4)


def test_the_file_computes_what_the_network_does(network: HeadPoseNet, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    assert export_model(network, METADATA, path) <= 1e-4
    model = HeadPoseModel.load(path)
    assert model.metadata.name == METADATA.name
    assert model.metadata.temperature.tolist() == METADATA.temperature.tolist()
    crops = parity_crops()
    for some in (crops[:1], crops[:5], crops[2:2]):
        expected = logits(network, some) if len(some) else np.empty((0, 3, 62))
        # Storage in float16 is all that may differ.
        np.testing.assert_allclose(model.infer(some), expected, atol=0.02)
    rounded = round_to_half(fold_normalisation(network))
    np.testing.assert_allclose(model.infer(crops), logits(rounded, crops), atol=1e-4)


def test_weights_are_stored_in_half_and_used_in_single_precision(
    network: HeadPoseNet, tmp_path: Path
) -> None:
    export_model(network, METADATA, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    large = [tensor for tensor in model.graph.initializer if np.prod(tensor.dims) > 62]
    assert large and all(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in large)
    inferred = onnx.shape_inference.infer_shapes(model)
    halves = {tensor.name for tensor in model.graph.initializer if tensor.data_type == 10}
    for node in model.graph.node:
        if node.op_type != "Cast":
            assert not halves & set(node.input)
    kinds = {value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    assert onnx.TensorProto.FLOAT16 not in kinds
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_weights_that_half_precision_cannot_hold_are_refused(
    network: HeadPoseNet, tmp_path: Path
) -> None:
    broken = HeadPoseNet(network.config)
    broken.load_state_dict(network.state_dict())
    with torch.no_grad():
        broken.classifiers.weight[0, 0] = 1e5
    with pytest.raises(ValueError, match=r"classifiers.weight has larger ones"):
        export_model(broken, METADATA, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_differs_from_pytorch_is_not_written(
    network: HeadPoseNet, tmp_path: Path
) -> None:
    class Drifting(HeadPoseNet):
        """Computes something else while it is traced than when it is asked again."""

        def forward(self, crops: torch.Tensor) -> torch.Tensor:
            shift = 0.0 if torch.jit.is_tracing() else 1e-3
            return super().forward(crops) + shift

    drifting = Drifting(network.config)
    drifting.load_state_dict(network.state_dict())
    with pytest.raises(RuntimeError, match=r"expected logits within 0.0001"):
        export_model(drifting, METADATA, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_the_command_line(network: HeadPoseNet, tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", network, {})
    entry = {
        "mae": {"yaw": 1.0, "pitch": 2.0, "roll": 3.0, "mean": 2.0},
        "n": 5,
        "missed": 1,
        "by_yaw": {},
        "geodesic": 3.0,
        "coverage_1sigma": 0.7,
    }
    results = {"dataset": "aflw2000", "models": {"m": entry}}
    (tmp_path / "results.json").write_text(json.dumps(results))
    command = (
        f"{sys.executable} -m training.export --weights {tmp_path}/w.safetensors "
        f"--out {tmp_path}/out/m.onnx --temperature 1.5 0.7 0.9 --metrics {tmp_path}/results.json"
    )
    done = subprocess.run(
        command.split(), cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "largest difference of a logit" in done.stdout
    assert re.search(r"float16 storage changes angles of 8 test crops by at most ", done.stdout)
    model = onnx.load(tmp_path / "out" / "m.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(properties["temperature"]) == [1.5, 0.7, 0.9]
    assert json.loads(properties["crop"]) == {**CROP_RULE, "scale": 1.0}
    assert json.loads(properties["metrics"])["aflw2000"]["mae"]["mean"] == 2.0
    assert properties["git_hash"]


def test_the_change_of_the_error_by_rounding_is_said(
    network: HeadPoseNet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "faces", number=0, count=9)
    save_weights(tmp_path / "w.safetensors", network, {})
    data = (f"rendered:{tmp_path}/faces",)
    export(ExportConfig(tmp_path / "w.safetensors", tmp_path / "m.onnx", data=data, faces=5))
    said = re.search(
        r"MAE on 5 faces from (\S+) to (\S+) deg \((\S+)\), angles by at most (\S+) deg",
        capsys.readouterr().out,
    )
    assert said
    before, after, change, largest = map(float, said.groups())
    assert before > 1.0 and 0.0 < abs(change) <= largest < 0.1
    assert after - before == pytest.approx(change, abs=2e-3)
    (tmp_path / "none").mkdir()
    nothing = (f"rendered:{tmp_path}/none",)
    with pytest.raises(FileNotFoundError, match="expected labelled faces in rendered:"):
        export(ExportConfig(tmp_path / "w.safetensors", tmp_path / "other.onnx", data=nothing))
    assert not (tmp_path / "other.onnx").exists()
