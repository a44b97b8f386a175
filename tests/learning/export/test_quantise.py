# SPDX-License-Identifier: Apache-2.0
"""int8 files: the same angles, integers throughout, and one file for every runtime."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from headpose_core.errors import ModelError
from headpose_core.faces.yunet import YuNet
from headpose_core.images.crop import crop_faces, square_boxes
from headpose_core.images.image_view import as_view
from headpose_core.images.video import VideoReader
from headpose_core.learning.export import quantise
from headpose_core.learning.export.activation_ranges import Range, best_range
from headpose_core.learning.export.model_export import export_model, parity_crops
from headpose_core.learning.export.quantise import WEIGHT_LIMIT, quantise_model
from headpose_core.onnx_files.sessions import import_onnxruntime
from headpose_core.pose.backends.openvino import import_openvino
from headpose_core.pose.bins import decode
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig
from headpose_core.pose.shipped import DEFAULT_MODEL
from tests.tiny_models import METADATA

BACKENDS = [name for name in ("onnxruntime", "openvino") if find_spec(name)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A narrow network of random weights as it is exported, and its int8 version."""
    folder = tmp_path_factory.mktemp("int8")
    torch.manual_seed(0)
    network = HeadPoseNet(NetworkConfig("resnet18", width=8))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # every branch takes part, with a bias
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    before, after = folder / "float.onnx", folder / "int8.onnx"
    export_model(network, METADATA, before)
    quantise_model(before, parity_crops(), after)
    return before, after


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_runtime_computes_the_same_in_int8(files, backend) -> None:
    crops = parity_crops()
    expected = HeadPoseModel.load(files[0], device="cpu", precision="fp32").infer(crops)
    model = HeadPoseModel.load(files[1], device="cpu", backend=backend)
    assert model.precision == "int8"
    got = model.infer(crops)
    assert np.abs(got - expected).max() < 0.1 * np.ptp(expected)
    assert not np.allclose(got, expected, atol=1e-4 * np.ptp(expected))  # it is rounded


def test_onnx_runtime_computes_in_integers_throughout(files, tmp_path) -> None:
    """Where one rounding is missing, it falls back to float for that layer and says nothing."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(files[1], options, providers=["CPUExecutionProvider"])
    operators = [n.op_type for n in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert operators.count("QLinearConv") == 20
    assert operators.count("QLinearAdd") == 8
    assert operators.count("Conv") == 1  # the classifiers
    assert not {"Add", "FusedConv", "Mul", "Gemm"} & set(operators)
    # Between the pixels and the mean of the last layer nothing is rounded on its own.
    assert operators.count("QuantizeLinear") == 1


def test_openvino_computes_in_integers_throughout(files) -> None:
    pytest.importorskip("openvino", reason="needs openvino")
    core = import_openvino().Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}  # bf16 is the default on some processors
    compiled = core.compile_model(core.read_model(files[1]), "CPU", options)
    nodes = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    kinds = {
        layer: sorted(
            node["runtimePrecision"].astype(str)
            for node in nodes
            if node["layerType"].astype(str) == layer
        )
        for layer in ("Convolution", "Pooling", "FakeQuantize")
    }
    assert kinds["Convolution"] == ["f32"] + ["u8"] * 20  # the classifiers, and all others
    assert kinds["Pooling"] == ["u8"] and kinds["FakeQuantize"] == []


def test_weights_leave_room_for_sums_in_16_bits(files) -> None:
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(files[1]).graph.initializer}
    weights = [v for name, v in tensors.items() if name.endswith("weight_integers")]
    assert len(weights) == 20
    for integers in weights:
        assert integers.dtype == np.int8
        rows = np.abs(integers.reshape(len(integers), -1).astype(int)).max(axis=1)
        assert (rows == WEIGHT_LIMIT).all()  # each channel uses what it may
    assert 2 * 255 * WEIGHT_LIMIT < 2**15
    sizes = [path.stat().st_size for path in files]
    assert sizes[1] < 0.8 * sizes[0]  # beside the classifiers


def test_the_file_says_what_it_is(files) -> None:
    before, after = (HeadPoseModel.load(path).metadata for path in files)
    assert after.name == f"{before.name}_int8"
    assert {**vars(after), "name": 0, "temperature": 0} == {
        **vars(before),
        "name": 0,
        "temperature": 0,
    }
    np.testing.assert_array_equal(after.temperature, before.temperature)


def test_equal_weights_that_the_exporter_stores_once(tmp_path) -> None:
    """As of a network that nobody trained: all its biases are zero."""
    before, after = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    export_model(HeadPoseNet(NetworkConfig("lite", width=8)), METADATA, before)
    assert any(node.op_type == "Identity" for node in onnx.load(before).graph.node)
    assert quantise_model(before, parity_crops(), after) < 1.0


def test_what_is_quantised_already_is_refused(files, tmp_path) -> None:
    with pytest.raises(ModelError, match="quantised already"):
        quantise_model(files[1], parity_crops(), tmp_path / "twice.onnx")


def test_a_file_that_changes_the_angles_is_not_written(files, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(quantise, "TOLERANCE_DEG", 1e-9)
    with pytest.raises(RuntimeError, match="of the float model's"):
        quantise_model(files[0], parity_crops(), tmp_path / "bad.onnx")
    assert not list(tmp_path.iterdir())


def test_calibration_needs_crops(files, tmp_path) -> None:
    with pytest.raises(ValueError, match="got none"):
        quantise_model(files[0], parity_crops()[:0], tmp_path / "none.onnx")


def test_zero_is_a_level_of_every_range() -> None:
    for told in (Range(0.0, 6.0), Range(-1.0, 3.0), Range(-2.0, 0.0), Range(0.0, 0.0)):
        assert 0 <= told.zero <= 255
        assert abs((0 - told.zero) * told.scale - told.low) <= told.scale / 2 + 1e-9


def test_a_few_large_values_are_clipped_for_the_others_sake() -> None:
    values = np.abs(np.random.default_rng(0).standard_normal(100_000))
    counts = 20.0 * np.histogram(values, 2048, (0.0, 8.0))[0]
    counts[-1] = 2.0
    assert 3.0 < best_range(counts, 0.0, 8.0).high < 6.0
    flat = np.ones(2048)
    assert best_range(flat, 0.0, 8.0).high > 7.5  # nothing to gain


def test_the_shipped_network_keeps_its_angles(car_video, astronaut, tmp_path) -> None:
    """Calibrated on one man and one camera, held to another face."""
    detector = YuNet()

    def crop(image: np.ndarray) -> np.ndarray:
        view = as_view(image)
        return crop_faces(view, square_boxes(detector.detect(view).boxes[:1]))

    pictures = [image for stamp, image in VideoReader(car_video)][::15]
    change = quantise_model(
        DEFAULT_MODEL, np.concatenate([crop(p) for p in pictures]), tmp_path / "int8.onnx"
    )
    assert change < 0.5
    before, after = (
        decode(HeadPoseModel.load(path, backend="onnxruntime").infer(crop(astronaut))).mean_deg
        for path in (DEFAULT_MODEL, tmp_path / "int8.onnx")
    )
    np.testing.assert_allclose(after, before, atol=2.0)
