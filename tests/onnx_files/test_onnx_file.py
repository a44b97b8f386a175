# SPDX-License-Identifier: Apache-2.0
"""The protobuf walker against files of the onnx package, and against broken bytes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from headpose_core.errors import ModelError
from headpose_core.onnx_files import protobuf
from headpose_core.onnx_files.onnx_file import (
    MAX_FILE_BYTES,
    TensorInfo,
    describe,
    read_model_file,
    read_weights,
    uses_external_data,
    with_input_size,
)
from headpose_core.onnx_files.sessions import open_session
from tests.onnx_files import broken_models
from tests.tiny_models import tiny_model, write_external_model


def pooling_model(shape: list[object]) -> bytes:
    """A small fully convolutional network: means of 2x2 pixels."""
    graph = helper.make_graph(
        [
            helper.make_node(
                "AveragePool", ["image"], ["mean"], kernel_shape=[2, 2], strides=[2, 2]
            )
        ],
        "pool",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, None)],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.mark.parametrize("declared", [[1, 3, 640, 640], [1, 3, "h", "w"], [1, 3, 20_000, 2]])
@pytest.mark.parametrize("size", [(32, 64), (640, 480), (2, 20_000)])
def test_a_network_takes_images_of_the_new_size(
    declared: list[object], size: tuple[int, int]
) -> None:
    changed = with_input_size(pooling_model(declared), *size)
    image = np.arange(3 * size[0] * size[1], dtype=np.float32).reshape(1, 3, *size)
    (mean,) = open_session(changed).run(None, {"image": image})
    expected = image.reshape(3, size[0] // 2, 2, size[1] // 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(mean[0], expected, rtol=1e-5)


def test_nothing_but_the_size_of_the_input_changes() -> None:
    before = onnx.load_from_string(pooling_model([1, 3, 640, 640]))
    after = onnx.load_from_string(with_input_size(before.SerializeToString(), 96, 160))
    dims = after.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [1, 3, 96, 160]
    dims[2].dim_value = dims[3].dim_value = 640
    assert after == before


def test_the_size_of_another_rank_is_refused() -> None:
    with pytest.raises(ModelError, match="rank 2"):
        with_input_size(pooling_model([1, 3]), 32, 32)


def test_a_description_is_what_the_onnx_package_reads() -> None:
    model = tiny_model()
    got = describe(model.SerializeToString())
    assert got.inputs == (TensorInfo("crops", "uint8", ("N", 112, 112, 3)),)
    assert got.outputs == (TensorInfo("logits", "float32", ("N", 3, 62)),)
    assert got.operators == {node.op_type for node in model.graph.node}
    assert got.properties == {p.key: p.value for p in model.metadata_props}


def test_weights_that_are_listed_as_inputs_are_none() -> None:
    model = tiny_model()
    model.graph.input.append(helper.make_tensor_value_info("grid", TensorProto.FLOAT, [62]))
    assert [info.name for info in describe(model.SerializeToString()).inputs] == ["crops"]


def test_weights_are_what_the_onnx_package_reads() -> None:
    model = tiny_model()
    half = np.arange(6, dtype=np.float16).reshape(2, 3)
    model.graph.initializer.append(numpy_helper.from_array(half, "half"))
    got = read_weights(model.SerializeToString())
    expected = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    del expected["last"]  # integers are no weights
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values.astype(np.float32))


def test_weights_whose_data_do_not_fill_their_shape_are_refused() -> None:
    model = tiny_model()
    (grid,) = (t for t in model.graph.initializer if t.name == "grid")
    for dims in ([63], [-1], [2**62, 4, 62], [62] + [1] * 64, [0, 2**62]):
        del grid.dims[:]
        grid.dims.extend(dims)
        if 0 in dims:
            grid.raw_data = b""
        with pytest.raises(ModelError, match="expected the weights grid"):
            read_weights(model.SerializeToString())


def hidden_tensor(**options: object) -> onnx.TensorProto:
    tensor = helper.make_tensor("hidden", TensorProto.FLOAT, [1], [0.0])
    return onnx.TensorProto(**{**{f.name: v for f, v in tensor.ListFields()}, **options})


EXTERNAL = hidden_tensor(data_location=TensorProto.EXTERNAL)
EXTERNAL.external_data.add(key="location", value="/etc/passwd")


def test_external_data_is_found_wherever_a_tensor_can_be() -> None:
    model = tiny_model()
    assert not uses_external_data(model.SerializeToString())
    constant = helper.make_node("Constant", [], ["c"], value=EXTERNAL)
    branch = helper.make_graph([constant], "branch", [], [])
    places = {
        "initialiser": lambda m: m.graph.initializer.append(EXTERNAL),
        "constant": lambda m: m.graph.node.append(constant),
        "subgraph": lambda m: m.graph.node.append(
            helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
        ),
        "function": lambda m: m.functions.add().node.append(constant),
        "training": lambda m: m.training_info.add().initialization.CopyFrom(branch),
        "sparse": lambda m: m.graph.sparse_initializer.add().values.CopyFrom(EXTERNAL),
    }
    for name, hide in places.items():
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        hide(changed)
        assert uses_external_data(changed.SerializeToString()), name


def rich_model() -> onnx.ModelProto:
    """Tensors in every place: empty, of one value, in a subgraph, a function and a sparse one."""
    model = tiny_model()
    for name, values in (("empty", np.zeros(0)), ("one", np.ones(1)), ("half", np.ones((2, 3)))):
        dtype = np.float16 if name == "half" else np.float32
        model.graph.initializer.append(numpy_helper.from_array(values.astype(dtype), name))
    constant = helper.make_node("Constant", [], ["c"], value=hidden_tensor(), note="no tensor")
    branch = helper.make_graph([constant], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch))
    model.functions.add().node.append(constant)
    model.training_info.add().initialization.CopyFrom(branch)
    model.graph.sparse_initializer.add().values.CopyFrom(hidden_tensor())
    return model


def fields_of(data: bytes) -> list[tuple[int, protobuf.Value]]:
    return list(protobuf.fields(memoryview(data)))


# Each public function that reads bytes, by itself.
READERS: dict[str, Callable[[bytes], object]] = {
    "fields": fields_of,
    "first": lambda data: protobuf.first(memoryview(data), 7),
    "uses_external_data": uses_external_data,
    "describe": describe,
    "read_weights": read_weights,
    "with_input_size": lambda data: with_input_size(data, 32, 64),
}
RICH = broken_models.tree(rich_model())
SOURCES: dict[str, Callable[[Random], bytes]] = {
    "damaged": lambda rng: broken_models.damaged(RICH, rng),
    "noise inside": lambda rng: broken_models.noise_inside(RICH, rng),
    "hostile weights": broken_models.hostile_weights,
    "random graph": broken_models.random_graph,
    "noise": broken_models.noise,
}


def outcome(read: Callable[[bytes], object], data: bytes) -> str:
    """What comes of it. Anything but an answer or a ModelError fails, and shows the bytes."""
    try:
        read(data)
    except ModelError:
        return "refused inside" if has_graph(data) else "refused at once"
    except Exception as error:
        raise AssertionError(f"{data.hex()}: {error!r}") from error
    return "answered"


def has_graph(data: bytes) -> bool:
    """The first check: whether the outermost row of fields reads well, with a graph in it."""
    try:
        return isinstance(dict(fields_of(data)).get(7), memoryview)
    except ModelError:
        return False


ROUNDS = 1000
# Those that look into the graph, and so can refuse what they find there.
INSIDE = {"uses_external_data", "describe", "read_weights", "with_input_size"}


@pytest.mark.parametrize("name", READERS)
def test_bad_bytes_end_in_an_answer_or_a_model_error(name: str) -> None:
    """And enough of them get past the first check to say something about those behind it."""
    found = {}
    for source, make in SOURCES.items():
        rng = Random(f"{name} {source}")
        found[source] = Counter(outcome(READERS[name], make(rng)) for _ in range(ROUNDS))
    assert found.pop("noise")["refused at once"] > 0.9 * ROUNDS
    for source, counts in found.items():
        assert counts["refused at once"] < 0.02 * ROUNDS, source
    assert found["damaged"]["answered"] > 0.4 * ROUNDS
    if name in INSIDE:
        assert found["damaged"]["refused inside"] > 0.04 * ROUNDS
        assert sum(counts["refused inside"] for counts in found.values()) > 0.1 * ROUNDS


@pytest.mark.parametrize("read", [protobuf.message_in, protobuf.text_in, protobuf.number_in])
def test_bad_values_end_in_an_answer_or_a_model_error(
    read: Callable[[protobuf.Value], object],
) -> None:
    rng, found = Random(read.__name__), Counter[str]()
    for _ in range(ROUNDS):
        data = broken_models.random_graph(rng)
        for _, value in protobuf.fields(protobuf.first(memoryview(data), 7)[0]):
            found[outcome(lambda _, value=value: read(value), data)] += 1
    assert found["answered"] > 0.2 * ROUNDS
    assert found["refused inside"] > 0.2 * ROUNDS


def test_a_bad_file_ends_in_its_bytes_or_a_model_error(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        assert read_model_file(path) == data

    rng = Random("file")
    for source in ("damaged", "noise inside"):
        found = Counter(outcome(read, SOURCES[source](rng)) for _ in range(300))
        assert found["answered"] > 100, source
        assert found["refused inside"] > 10, source


@given(st.integers(0, 2**29 - 1), st.integers(0, 2**64 - 1) | st.binary(max_size=300))
def test_what_is_encoded_reads_as_it_was(number: int, value: int | bytes) -> None:
    assert fields_of(protobuf.encode(number, value)) == [(number, value)]


@pytest.mark.parametrize("name", READERS)
def test_a_truncated_file_is_refused_at_every_length(name: str) -> None:
    """Where the graph is cut; a reader that needs one refuses what ends before it, too."""
    data = pooling_model([1, 3, 640, 640])
    _, begins, ends = protobuf.first(memoryview(data), 7)
    assert outcome(READERS[name], data) == "answered"
    for length in range(begins + 1, ends):
        assert outcome(READERS[name], data[:length]) == "refused at once"
    before = {outcome(READERS[name], data[:length]) for length in range(begins + 1)}
    needs_none = name in ("fields", "uses_external_data")
    assert ("answered" in before) == needs_none


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "empty", "huge", "text"])
def test_what_is_no_model_file_is_refused(kind: str, tmp_path) -> None:
    path = tmp_path / "model.onnx"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "empty":
        path.touch()
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(MAX_FILE_BYTES + 1)
    elif kind == "text":
        path.write_text("hello, I am not a network, and this is long enough to be one")
    with pytest.raises(ModelError, match=r"model\.onnx: .*(expected|existing)"):
        read_model_file(path)


def test_a_model_with_its_weights_elsewhere_is_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match="external_data=False"):
        read_model_file(write_external_model(tmp_path / "split.onnx"))
