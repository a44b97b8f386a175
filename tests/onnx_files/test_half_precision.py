# SPDX-License-Identifier: Apache-2.0
"""A network in float16 says what it says in float32, and is still a valid model."""

from __future__ import annotations

import contextlib
from collections import Counter
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from headpose_core.errors import ModelError
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_view import as_view
from headpose_core.images.video import VideoReader
from headpose_core.onnx_files.half_precision import to_half_precision
from headpose_core.onnx_files.onnx_file import describe
from headpose_core.onnx_files.sessions import open_session
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.shipped import model_path

MOST_DEG = 0.05


@pytest.fixture(scope="module")
def crops(car_video: Path, astronaut: np.ndarray) -> np.ndarray:
    """Real faces, (N, 112, 112, 3)."""
    model, detector = HeadPoseModel.load("ehpnet_lite", device="cpu"), YuNet()
    images = [astronaut, *(image for _, image in islice(VideoReader(car_video), 0, None, 10))]
    views = [as_view(image) for image in images]
    return np.concatenate([model.crop(view, detector.detect(view).boxes) for view in views])


def values_of(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All tensors of a model, computed node by node and rounded after each, as on a GPU. In one
    piece ONNX Runtime's CPU provider would leave out the roundings between."""
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer} | inputs
    for node in model.graph.node:
        taken = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(values[name].dtype), None
            )
            for name in dict.fromkeys(filter(None, node.input))
        ]
        made = [helper.make_empty_tensor_value_info(name) for name in node.output]
        one = helper.make_model(
            helper.make_graph([node], "one", taken, made),
            opset_imports=model.opset_import,
            ir_version=model.ir_version,
        )
        session = open_session(one.SerializeToString())
        results = session.run(None, {info.name: values[info.name] for info in taken})
        values |= dict(zip(node.output, results, strict=True))
    return values


@pytest.mark.parametrize("name", ["ehpnet_resnet18", "ehpnet_lite"])
def test_angles_of_real_faces_stay_within_a_twentieth_of_a_degree(
    name: str, crops: np.ndarray
) -> None:
    data = model_path(name).read_bytes()
    half = onnx.load_from_string(to_half_precision(data))
    onnx.checker.check_model(half, full_check=True)
    single = HeadPoseModel.load(name, device="cpu", backend="onnxruntime")
    expected = single.decode(single.infer(crops))
    values = values_of(half, {"crops": crops})
    got = single.decode(values["logits"])
    assert values["logits"].dtype == np.float32
    assert 0 < np.abs(got.mean_deg - expected.mean_deg).max() < MOST_DEG
    np.testing.assert_allclose(got.std_deg, expected.std_deg, atol=MOST_DEG)
    convolutions = [node for node in half.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 20
    assert all(values[name].dtype == np.float16 for node in convolutions for name in node.input)
    # In one piece, as it is used.
    (whole,) = open_session(half.SerializeToString()).run(None, {"crops": crops})
    assert np.abs(single.decode(whole).mean_deg - expected.mean_deg).max() < MOST_DEG


@pytest.mark.parametrize("name", ["ehpnet_resnet18", "ehpnet_lite"])
def test_the_file_does_not_grow_and_says_the_same_of_itself(name: str) -> None:
    data = model_path(name).read_bytes()
    half = to_half_precision(data)
    assert len(half) < len(data)
    before, after = describe(data), describe(half)
    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    assert after.properties == before.properties
    casts = [n for n in onnx.load_from_string(half).graph.node if n.op_type == "Cast"]
    # Of the pixels, before the first convolution, before the mean, of the last layer's weights;
    # of the normalisation's two constants where they are stored in half precision.
    assert len(casts) in (5, 7)


def every_backbone() -> list[str]:
    if not (find_spec("torch") and find_spec("safetensors")):
        return []
    from headpose_core.pose.networks.backbones import BACKBONES

    return list(BACKBONES)


@pytest.mark.parametrize("backbone", every_backbone() or [pytest.param("", id="needs torch")])
def test_every_backbone_is_converted(backbone: str) -> None:
    """With attention, with groups of channels: softmax and means in float32."""
    if not backbone:
        pytest.skip("needs torch and safetensors")
    import torch

    from headpose_core.learning.export.model_export import (
        fold_normalisation,
        round_to_half,
        store_as_half,
        to_onnx,
    )
    from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig

    torch.manual_seed(0)
    network = HeadPoseNet(NetworkConfig(backbone, 8, (1, 1, 1, 1)))
    model = store_as_half(to_onnx(round_to_half(fold_normalisation(network))))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    (expected,) = open_session(model.SerializeToString()).run(None, {"crops": pixels})
    half = onnx.load_from_string(to_half_precision(model.SerializeToString()))
    onnx.checker.check_model(half, full_check=True)
    values = values_of(half, {"crops": pixels})
    spread = np.ptp(expected)
    assert np.abs(values["logits"] - expected).max() < 0.02 * spread
    for node in half.graph.node:
        if node.op_type in ("Softmax", "ReduceMean", "GlobalAveragePool", "Gemm"):
            assert values[node.output[0]].dtype == np.float32
        if node.op_type == "Conv":
            assert values[node.output[0]].dtype == np.float16


def small_model(weights: np.ndarray, *nodes: onnx.NodeProto) -> bytes:
    """A convolution of one channel, x (1, 1, 4, 4) to c, and nodes to y."""
    first = helper.make_node("Conv", ["x", "w"], ["c"])
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [first, *nodes],
        "small",
        [value("x", TensorProto.FLOAT, [1, 1, 4, 4])],
        [value("y", TensorProto.FLOAT, [1, 1, 4, 4])],
        [numpy_helper.from_array(weights.astype(np.float32), "w")],
        value_info=[value("c", TensorProto.FLOAT, [1, 1, 4, 4])],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


ONE = np.full((1, 1, 1, 1), 2.0)
X = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)


@pytest.mark.parametrize(
    ("nodes", "operators"),
    [
        # A result is float32, whatever makes it.
        ([("Relu", ["c"], ["y"])], {"Conv": 1, "Cast": 2, "Relu": 1}),
        ([("Identity", ["c"], ["y"])], {"Conv": 1, "Cast": 2, "Identity": 1}),
        # What is used twice is cast once; what is not known stays in float32.
        (
            [("Exp", ["c"], ["e"]), ("Neg", ["c"], ["n"]), ("Add", ["e", "n"], ["y"])],
            {"Conv": 1, "Cast": 2, "Exp": 1, "Neg": 1, "Add": 1},
        ),
        # Back into float16 where it meets something in it.
        (
            [("Exp", ["c"], ["e"]), ("Mul", ["e", "c"], ["m"]), ("Sum", ["m"], ["y"])],
            {"Conv": 1, "Cast": 4, "Exp": 1, "Mul": 1, "Sum": 1},
        ),
        # Not needed for the result.
        (
            [("Exp", ["c"], ["unused"]), ("Neg", ["c"], ["y"])],
            {"Conv": 1, "Cast": 2, "Neg": 1},
        ),
    ],
)
def test_types_meet_by_casts(
    nodes: list[tuple[str, list[str], list[str]]], operators: dict[str, int]
) -> None:
    data = small_model(ONE, *(helper.make_node(*node) for node in nodes))
    half = onnx.load_from_string(to_half_precision(data))
    onnx.checker.check_model(half, full_check=True)
    assert Counter(node.op_type for node in half.graph.node) == operators
    (expected,) = open_session(data).run(["y"], {"x": X / 8})
    np.testing.assert_allclose(values_of(half, {"x": X / 8})["y"], expected, rtol=5e-3)


def test_what_float16_cannot_hold_is_refused() -> None:
    data = small_model(ONE * 40_000, helper.make_node("Neg", ["c"], ["y"]))
    with pytest.raises(ModelError, match=r"within \+-65504 for float16, w has larger"):
        to_half_precision(data)
    with pytest.raises(ModelError, match="expected a float model for float16, got an int8 one"):
        to_half_precision(model_path("ehpnet_lite_int8").read_bytes())


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_broken_files_end_in_an_error_of_ours(draw: st.DataObject) -> None:
    data = bytearray(small_model(ONE, helper.make_node("Relu", ["c"], ["y"])))
    for at in draw.draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=4)):
        data[at] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(ModelError):
        to_half_precision(bytes(data[: draw.draw(st.integers(0, len(data)))]))
