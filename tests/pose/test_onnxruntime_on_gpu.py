# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's way on a GPU, as far as that goes without one: buffers, options, errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headpose_core.errors import DeviceError, ModelError
from headpose_core.onnx_files.half_precision import to_half_precision
from headpose_core.onnx_files.sessions import import_onnxruntime, open_session
from headpose_core.pose.backends import onnxruntime_gpu, open_backend
from headpose_core.pose.backends.backend import Request, batch_sizes
from headpose_core.pose.backends.gpu_errors import with_remedy
from headpose_core.pose.backends.onnxruntime_gpu import (
    POOL,
    PROVIDERS,
    OnnxRuntimeGpu,
    cuda_ways,
    gpu_precision,
)
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.shipped import model_path
from tests.tiny_models import tiny_model

TINY = tiny_model().SerializeToString()
INT8 = model_path("ehpnet_lite_int8").read_bytes()


@pytest.fixture(autouse=True)
def buffers_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxRuntimeGpu, "memory", "cpu")


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 64, 65, 200])
def test_batches_cover_every_face_once_and_are_of_the_pool(count: int) -> None:
    parts = batch_sizes(count, POOL)
    assert [i for start, stop, _ in parts for i in range(start, stop)] == list(range(count))
    for start, stop, size in parts:
        assert size in POOL
        assert stop - start <= size < 2 * (stop - start) or size == 1


@pytest.mark.parametrize("graphs", [False, True])
def test_a_pool_of_bound_buffers_gives_what_a_plain_run_gives(graphs: bool) -> None:
    session = open_session(TINY)
    pool = OnnxRuntimeGpu(session, "cuda", "fp32", graphs=graphs)
    crops = np.random.default_rng(1).integers(0, 255, (70, 112, 112, 3), np.uint8)
    for count in (3, 1, 5, 70, 2):  # sizes come again, and a full batch before a part of one
        for part in (crops[:count], crops[:count, :, ::-1]):
            (expected,) = session.run(None, {"crops": np.ascontiguousarray(part)})
            np.testing.assert_array_equal(pool.infer(part), expected)


class Recorder:
    """A session that writes down with which buffers and which graph it is run."""

    def __init__(self) -> None:
        self.session = open_session(TINY)
        self.runs: list[tuple[int, str]] = []

    def io_binding(self) -> Any:
        return self.session.io_binding()

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        try:
            graph = options.get_run_config_entry("gpu_graph_id")
        except RuntimeError:  # none was given
            graph = ""
        self.runs.append((id(binding), graph))
        self.session.run_with_iobinding(binding, options)


@pytest.mark.parametrize("graphs", [False, True])
def test_each_size_of_batch_has_its_own_buffers_and_graph(graphs: bool) -> None:
    """A graph that is replayed computes with the addresses and the shape that it was made with."""
    recorder = Recorder()
    pool = OnnxRuntimeGpu(recorder, "cuda", "fp16", graphs=graphs)  # type: ignore[arg-type]
    for count in (1, 3, 4, 1, 70, 64, 5):
        pool.infer(np.zeros((count, 112, 112, 3), np.uint8))
    sizes = [1, 4, 4, 1, 64, 8, 64, 8]
    assert [graph for _, graph in recorder.runs] == [str(size) * graphs for size in sizes]
    bindings = {size: binding for size, (binding, _) in zip(sizes, recorder.runs, strict=True)}
    assert [binding for binding, _ in recorder.runs] == [bindings[size] for size in sizes]
    assert len(set(bindings.values())) == len({1, 4, 64, 8})


def test_what_is_returned_is_not_overwritten_by_the_next_batch() -> None:
    pool = OnnxRuntimeGpu(open_session(TINY), "cuda", "fp32", graphs=True)
    pictures = np.random.default_rng(2).integers(0, 255, (2, 1, 112, 112, 3), np.uint8)
    first = pool.infer(pictures[0])
    kept = first.copy()
    assert not np.array_equal(pool.infer(pictures[1]), kept)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("long_s", [-1.0, 1e9])
@pytest.mark.parametrize(("device", "sizes"), [("tensorrt", POOL), ("cuda", (1,))])
def test_warming_up_tells_how_far_it_is_where_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, long_s: float, device: str, sizes: tuple[int, ...]
) -> None:
    """TensorRT is ready for every size; CUDA for one face, and for others when they come."""
    monkeypatch.setattr(onnxruntime_gpu, "_LONG_S", long_s)
    said: list[str] = []
    pool = OnnxRuntimeGpu(open_session(TINY), device, "fp16")
    pool.warm_up(Request(b"", device, cache_dir=Path("/engines"), say=said.append))
    if device == "tensorrt":
        assert "minutes" in said[0]
        assert "/engines" in said.pop(0)
    told = [
        f"{device}: warm-up {i} of {len(sizes)}, {size} faces at once"
        for i, size in enumerate(sizes, 1)
    ]
    assert said == (told if long_s < 0 else [])
    assert list(pool._batches) == list(sizes)


@pytest.mark.parametrize(
    ("data", "device", "asked", "got"),
    [
        (TINY, "cuda", "auto", "fp16"),
        (TINY, "cuda", "fp16", "fp16"),
        (TINY, "cuda", "fp32", "fp32"),
        (INT8, "cuda", "auto", "fp32"),
        (TINY, "tensorrt", "auto", "fp16"),
        (INT8, "tensorrt", "auto", "fp16"),
        (TINY, "tensorrt", "fp32", "fp32"),
    ],
)
def test_precision_of_the_float_layers(data: bytes, device: str, asked: str, got: str) -> None:
    assert gpu_precision(Request(data, device, precision=asked)) == got


@pytest.mark.parametrize(
    ("data", "device", "asked", "message"),
    [
        (TINY, "cuda", "bf16", r"'cuda' computes the float layers in fp16 or fp32, got bf16"),
        (TINY, "tensorrt", "bf16", r"'tensorrt' computes .* fp16 or fp32, got bf16"),
        (INT8, "cuda", "fp16", r"the float layers of an int8 file in fp32, got fp16"),
    ],
)
def test_precisions_that_a_gpu_does_not_have(
    data: bytes, device: str, asked: str, message: str
) -> None:
    with pytest.raises(DeviceError, match=message):
        gpu_precision(Request(data, device, precision=asked))


def test_options_of_cuda() -> None:
    half = cuda_ways(Request(TINY, "cuda"))
    assert [way.get("enable_cuda_graph") for way in half] == ["1", "1", None]
    assert [way.get("prefer_nhwc") for way in half] == ["1", None, None]
    single = cuda_ways(Request(TINY, "cuda", precision="fp32"))
    assert [way.get("enable_cuda_graph") for way in single] == ["1", None]
    assert all("prefer_nhwc" not in way for way in single)
    for way in half + single:
        assert way["arena_extend_strategy"] == "kSameAsRequested"
        assert way["cudnn_conv_algo_search"] == "EXHAUSTIVE"
        assert "device_id" not in way  # else each start prints a warning
    # Rounding to TF32 only where fp32 was not asked for.
    assert all(way["use_tf32"] == "0" for way in single)
    assert all("use_tf32" not in way for way in half)
    assert all("use_tf32" not in way for way in cuda_ways(Request(INT8, "cuda")))


class FakeGpu:
    """ONNX Runtime with a GPU: sessions are on the CPU but say otherwise.

    fails: words of options with which a session cannot be opened, and of ONNX Runtime's reason.
    """

    def __init__(self, loads: bool = True) -> None:
        self.loads = loads
        self.fails: dict[str, str] = {}
        self.tried: list[dict[str, str]] = []
        self.data = b""

    def open_session(self, data: bytes, *, providers: list[Any]) -> Any:
        (name, options), *_ = providers
        self.tried.append(options)
        self.data = data
        for word, reason in self.fails.items():
            if word in str(options):
                raise ModelError(f"expected a valid ONNX model, ONNX Runtime says: {reason}")
        session = open_session(data)
        got = [name] if self.loads else ["CPUExecutionProvider"]
        session.get_providers = lambda: got  # type: ignore[method-assign]
        return session


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGpu]:
    fake = FakeGpu()
    monkeypatch.setattr(onnxruntime_gpu, "open_session", fake.open_session)
    monkeypatch.setattr(
        import_onnxruntime(),
        "get_available_providers",
        lambda: [*PROVIDERS["tensorrt"]],
    )
    return fake


def test_cuda_computes_in_half_with_graphs(gpu: FakeGpu) -> None:
    lite = model_path("ehpnet_lite")
    model = HeadPoseModel.load(lite, device="cuda", allow_cpu_fallback=False)
    assert (model.backend, model.device, model.precision) == ("onnxruntime", "cuda", "fp16")
    assert [way["enable_cuda_graph"] for way in gpu.tried] == ["1"]
    assert gpu.data == to_half_precision(lite.read_bytes())
    crops = np.random.default_rng(1).integers(0, 255, (5, 112, 112, 3), np.uint8)
    expected = HeadPoseModel.load(lite, device="cpu", backend="onnxruntime")
    np.testing.assert_allclose(model.infer(crops), expected.infer(crops), atol=0.02)
    single = HeadPoseModel.load(lite, device="cuda", precision="fp32")
    assert (single.device, single.precision, gpu.data) == ("cuda", "fp32", lite.read_bytes())


def test_what_a_build_or_a_network_does_not_have_is_left_out(
    gpu: FakeGpu, tiny_model_file: Path
) -> None:
    gpu.fails["prefer_nhwc"] = "This build does not support NHWC layout"
    load = HeadPoseModel.load
    assert load(tiny_model_file, device="cuda").device == "cuda"
    assert [way.get("prefer_nhwc") for way in gpu.tried] == ["1", None]
    gpu.fails["enable_cuda_graph"] = "all the graph nodes have not been partitioned to the CUDA EP"
    gpu.tried.clear()
    model = load(tiny_model_file, device="cuda", precision="fp32")
    assert (model.device, model.precision) == ("cuda", "fp32")
    assert [way.get("enable_cuda_graph") for way in gpu.tried] == ["1", None]


def test_a_gpu_that_fails_is_a_device_error_and_the_cpu_takes_over(
    gpu: FakeGpu, tiny_model_file: Path
) -> None:
    gpu.fails["EXHAUSTIVE"] = "CUDA failure 2: out of memory ; GPU=0 ; hostname=x"
    with pytest.raises(DeviceError, match=r"CUDAExecutionProvider.*the GPU's memory is full"):
        HeadPoseModel.load(tiny_model_file, device="cuda", allow_cpu_fallback=False)
    model = HeadPoseModel.load(tiny_model_file)
    assert model.device == "cpu"
    assert "out of memory" in model.rejected_backends[0]


def test_libraries_that_are_missing_are_not_tried_again(
    gpu: FakeGpu, tiny_model_file: Path
) -> None:
    gpu.loads = False
    with pytest.raises(DeviceError, match=r"cannot load CUDAExecutionProvider.*cuDNN"):
        HeadPoseModel.load(tiny_model_file, device="cuda", allow_cpu_fallback=False)
    assert len(gpu.tried) == 1


@pytest.mark.skipif(
    "CUDAExecutionProvider" in import_onnxruntime().get_available_providers(),
    reason="this ONNX Runtime has CUDA",
)
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_an_onnx_runtime_for_cpus_says_what_to_install(device: str) -> None:
    with pytest.raises(DeviceError, match=r"this ONNX Runtime has .*headpose-ehpnet\[gpu\]"):
        open_backend("onnxruntime", Request(TINY, device))


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("CUDA failure 35: CUDA driver version is insufficient for CUDA runtime", "update it"),
        ("The NVIDIA driver on your system is too old (found version 11040).", "update it"),
        ("CUDA failure 100: no CUDA-capable device is detected ; GPU=-1", "--gpus all"),
        ("No CUDA GPUs are available", "nvidia-smi"),
        ("Failed to allocate memory for requested buffer of size 411041792", "memory is full"),
        ("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA", "memory is full"),
        ("libcudnn.so.9: cannot open shared object file: No such file", "nvidia-cudnn"),
        ("CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED", "nvidia-cudnn"),
        ("libcublasLt.so.13: cannot open shared object file", "onnxruntime-gpu[cuda]"),
        ("libnvinfer.so.10: cannot open shared object file", "pip install tensorrt"),
        ("CUDA error: no kernel image is available for execution on the device", "capability"),
        ("CUDA failure 999: unknown error", "restart"),
    ],
)
def test_errors_of_each_library_say_what_helps(error: str, remedy: str) -> None:
    told = with_remedy(RuntimeError(error))
    assert told.startswith(error.splitlines()[0])
    assert remedy in told


def test_an_unknown_error_is_said_as_it_is() -> None:
    assert with_remedy(ValueError("\n  odd\nmore")) == "odd"
    assert with_remedy(ValueError()) == "ValueError"
