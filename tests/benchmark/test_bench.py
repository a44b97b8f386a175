# SPDX-License-Identifier: Apache-2.0
"""The benchmark counts what it says it counts, and prints what programs can read."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from headpose_core.benchmark import floors, timing
from headpose_core.benchmark.first_pose import first_pose
from headpose_core.benchmark.floors import Floors, multiply_adds
from headpose_core.benchmark.models import Result
from headpose_core.benchmark.stages import (
    COUNTS,
    FRAME_STAGES,
    SIZES,
    FrameBench,
    Stage,
    spread_boxes,
    yunet_work,
)
from headpose_core.benchmark.timing import interleaved
from headpose_core.commands.cli import main
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_view import ImageView
from headpose_core.pose.head_pose_model import HeadPoseModel
from tests.places import REPOSITORY


def test_functions_are_timed_in_turns_after_a_warm_up(monkeypatch) -> None:
    clock = iter(np.arange(0, 1000, 0.5))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
    calls: list[str] = []
    work = {name: (lambda name=name: calls.append(name)) for name in "ab"}
    result = interleaved(work, seconds=1e-3)
    assert calls == list("ab") + list("aaabbb") * 3
    assert result["a"].calls == 9
    assert result["a"].best == result["b"].median == 500.0


def test_the_best_call_is_the_least_disturbed_one(monkeypatch) -> None:
    # Where it ends, start and stop of each call, and after the third turn whether that was it.
    took = (5.0, 2.0, 9.0, 8.0, 3.0, 4.0, 7.0, 6.0, 5.5)
    moments = [0.0, *(moment for one in took for moment in (0.0, one)), 0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: moments.pop(0))
    (result,) = interleaved({"a": lambda: None}, seconds=0.0).values()
    assert (result.best, result.median) == (2000.0, 5500.0)


def counted_model() -> bytes:
    """A strided convolution of two groups, then a matrix product."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((8, 2, 3, 3)).astype(np.float32),
        "m": rng.standard_normal((5, 7)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1], group=2),
        helper.make_node("MatMul", ["y", "m"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes,
        "counted",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 6, 10])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_multiply_adds_are_those_of_the_definition() -> None:
    convolution = 8 * 3 * 5 * 2 * 3 * 3  # outputs times taps of one group
    product = 8 * 3 * 7 * 5
    feed = {"x": np.zeros((1, 4, 6, 10), np.float32)}
    assert multiply_adds(counted_model(), feed) == convolution + product


def test_work_of_the_detector_grows_with_its_pixels() -> None:
    assert yunet_work(384, 640) == pytest.approx(
        384 * 640 / 320**2 * yunet_work(320, 320), rel=1e-6
    )


def test_the_peak_is_measured_by_real_products() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 100, (2, 512, 512), np.uint8)
    (product,) = floors._product("MatMulInteger", a, b.astype(np.int8))()
    np.testing.assert_array_equal(product, a.astype(np.int64) @ b)
    (product,) = floors._product("MatMul", a.astype(np.float32), b.astype(np.float32))()
    np.testing.assert_allclose(product, a.astype(float) @ b, rtol=1e-5)
    told = Floors(fp32=10.0, int8=20.0, copy=4.0)
    assert (told.compute_ms(100, "fp32", 1), told.compute_ms(100, "int8", 1)) == (10.0, 5.0)
    assert told.compute_ms(100, "int8", 2) == 2.5
    assert told.copy_ms(8) == 2.0


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_there_is_no_floor_where_no_peak_was_measured(precision) -> None:
    floor_ms = Floors(fp32=10.0, int8=20.0, copy=4.0).compute_ms(100, precision, 1)
    result = Result("net", "openvino", precision, 1, 1, 2.0, 2.0, floor_ms)
    assert result.record()["floor_ms"] is None


def test_known_faces_lie_in_the_image_and_apart() -> None:
    for size in SIZES:
        for count in COUNTS:
            boxes = spread_boxes(*size, count)
            assert len(boxes) == count
            assert (boxes >= 0).all()
            assert (boxes[:, 2:] <= size).all()
            apart = np.abs(boxes[:, None, :2] - boxes[:, :2]).max(axis=2)
            side = boxes[0, 2] - boxes[0, 0]
            assert (apart + 1e9 * np.eye(count) >= side * 0.9).all()


def a_frame(model_file: Path, threads: int = 1) -> dict[str, Stage]:
    """Its stages by name, of 640x480 pixels with one face."""
    model = HeadPoseModel.load(model_file, device="cpu")
    frames = FrameBench(model, 1e6, YuNet(), Floors(1e6, 1e6, 1e6), threads)
    return {stage.stage: stage for stage in frames.measure((640, 480), 1, seconds=0)}


def test_floors_of_a_frame_are_those_of_as_many_cores(tiny_model_file) -> None:
    one, two = a_frame(tiny_model_file, threads=1), a_frame(tiny_model_file, threads=2)
    for stage in ("detect", "infer"):
        assert two[stage].floor_ms == one[stage].floor_ms / 2
    assert two["convert"].floor_ms == one["convert"].floor_ms  # one core copies


def test_the_processor_time_of_a_frame_has_its_shrinking_once(tiny_model_file, monkeypatch):
    """It is timed in a call of its own, beside the detector's."""
    shrunk = ImageView.shrunk

    def slowly(view: ImageView, max_side: int):
        end = time.process_time() + 0.5
        while time.process_time() < end:
            pass
        return shrunk(view, max_side)

    monkeypatch.setattr(ImageView, "shrunk", slowly)
    assert 500 <= a_frame(tiny_model_file)["total"].cpu_ms < 900


def test_figures_as_json(tiny_model_file, capsys, monkeypatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    options = ["--model", str(tiny_model_file), "--backend", "onnxruntime"]
    assert main(["bench", "--json", "--seconds", "0.2", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"results", "stages", "rss_mb"} <= told.keys()
    for result in told["results"]:
        keys = {"model", "backend", "precision", "threads", "batch", "ms_per_face"}
        assert keys <= result.keys()
        assert (result["model"], result["threads"]) == ("tiny", 1)
        assert 0 < result["ms_per_face"] <= result["median_ms"]
    assert {result["batch"] for result in told["results"]} == {1, 8}
    for size in SIZES:
        for count in COUNTS:
            frame = [
                s
                for s in told["stages"]
                if (s["width"], s["height"], s["faces"]) == (*size, count)
            ]
            assert [s["stage"] for s in frame] == [*FRAME_STAGES, "total"]
            assert sum(s["share"] for s in frame[:-1]) == pytest.approx(1)
            assert sum(s["ms"] for s in frame[:-1]) == pytest.approx(frame[-1]["ms"])
            assert frame[-1]["cpu_ms"] > 0
    assert told["machine"]["onnxruntime"]
    assert told["frames"] == {
        "model": "tiny",
        "backend": "onnxruntime",
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
    }


def test_what_cannot_be_had_is_said_and_left_out(tiny_model_file, capsys) -> None:
    options = ["--seconds", "0.2", "--model", str(tiny_model_file), "--device", "tensorrt"]
    assert main(["bench", *options]) == 1
    told = capsys.readouterr().err
    assert "left out: tiny on onnxruntime in fp16" in told
    assert "nothing left to measure" in told


def test_a_process_with_one_camera_stays_small() -> None:
    """The shipped network on a 720p image: below 350 MB, with what a node needs beside it."""
    assert first_pose(None, "cpu", "onnxruntime")["rss_mb"] < 300
