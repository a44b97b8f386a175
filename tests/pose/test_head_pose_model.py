# SPDX-License-Identifier: Apache-2.0
"""Model files against their contract, devices asked against got. Real ONNX Runtime throughout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headpose_core.errors import DeviceError, ModelError
from headpose_core.onnx_files.sessions import import_onnxruntime
from headpose_core.pose.bins import decode
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.shipped import DEFAULT_MODEL, model_path, shipped_models
from tests.places import REPOSITORY
from tests.tiny_models import METADATA, tiny_model, write_external_model, write_tiny_model


def test_a_model_turns_crops_into_logits(tiny_model_file) -> None:
    model = HeadPoseModel.load(tiny_model_file)
    crops = np.zeros((3, 112, 112, 3), np.uint8)
    crops[0], crops[1] = (255, 128, 0), (128, 0, 255)
    logits = model.infer(crops)
    assert logits.shape == (3, 3, 62)
    assert logits.dtype == np.float32
    angles = decode(logits).mean_deg
    np.testing.assert_allclose(angles[:2], [[90, 0, -90], [0, -90, 90]], atol=2.0)
    np.testing.assert_allclose(model.infer(crops[1:2]), logits[1:2], atol=1e-4)


def test_no_faces_give_no_logits(tiny_model_file) -> None:
    logits = HeadPoseModel.load(tiny_model_file).infer(np.empty((0, 112, 112, 3), np.uint8))
    assert logits.shape == (0, 3, 62)


@pytest.mark.parametrize(
    "crops", [np.zeros((1, 96, 96, 3), np.uint8), np.zeros((1, 112, 112, 3), np.float32)]
)
def test_other_crops_are_refused(tiny_model_file, crops) -> None:
    with pytest.raises(ValueError, match=r"expected crops as \(N, 112, 112, 3\) uint8, got"):
        HeadPoseModel.load(tiny_model_file).infer(crops)


def test_metadata_come_back_as_they_were_written(tiny_model_file) -> None:
    got = HeadPoseModel.load(tiny_model_file).metadata
    np.testing.assert_array_equal(got.temperature, METADATA.temperature)
    assert {**vars(got), "temperature": 0} == {**vars(METADATA), "temperature": 0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 96}, r"expected one input 'crops'.*112.*got.*96"),
        ({"input_name": "image"}, r"expected one input 'crops'.*got 'image'"),
        ({"batch": 1}, r"expected one input 'crops'.*'N'.*got.*\[1, 112"),
        ({"bins": 66}, r"expected one output 'logits'.*62.*got.*66"),
        ({"output_name": "pose"}, r"expected one output 'logits'.*got 'pose'"),
        ({"properties": {}}, r".*metadata lack .*'format'.*training\.export"),
    ],
)
def test_a_model_of_another_shape_is_refused(tmp_path, options, message) -> None:
    path = write_tiny_model(tmp_path / "other.onnx", **options)
    with pytest.raises(ModelError, match=rf"other\.onnx: {message}"):
        HeadPoseModel.load(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "headpose/2"),
        ("bins", '{"count": 66, "width_deg": 3.0, "first_centre_deg": -97.5}'),
        ("crop", '{"padding": "stretch"}'),
        ("crop", "not json"),
        ("temperature", "[1.0, 1.0]"),
        ("temperature", "[1.0, 0.0, 1.0]"),
        ("temperature", "[1.0, NaN, 1.0]"),
        ("temperature", '"warm"'),
        ("metrics", "[]"),
    ],
)
def test_metadata_that_mean_something_else_are_refused(tmp_path, key, value) -> None:
    properties = {**METADATA.to_properties(), key: value}
    path = write_tiny_model(tmp_path / "other.onnx", properties=properties)
    with pytest.raises(ModelError, match=rf"other\.onnx: metadata '{key}': expected"):
        HeadPoseModel.load(path)


def test_a_truncated_model_is_refused_at_every_length(tmp_path) -> None:
    data, path = tiny_model().SerializeToString(), tmp_path / "short.onnx"
    for length in range(0, len(data), 37):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError, match=r"short\.onnx: "):
            HeadPoseModel.load(path)


def test_external_data_and_missing_files_are_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match="external data"):
        HeadPoseModel.load(write_external_model(tmp_path / "split.onnx"))
    with pytest.raises(ModelError, match="No such file"):
        HeadPoseModel.load(tmp_path / "absent.onnx")


def test_a_shipped_model_can_be_asked_for_by_name(tmp_path, monkeypatch) -> None:
    assert shipped_models()[0] == DEFAULT_MODEL == model_path()
    for file in shipped_models():
        assert model_path(file.stem) == file
    with pytest.raises(ModelError, match=r"ehpnet_heavy: expected the path .* ehpnet_resnet18"):
        HeadPoseModel.load("ehpnet_heavy")
    monkeypatch.chdir(tmp_path)
    Path("ehpnet_resnet18").touch()  # a file of that name comes first
    assert model_path("ehpnet_resnet18") == Path("ehpnet_resnet18")


def test_the_cpu_is_always_there(tiny_model_file) -> None:
    model = HeadPoseModel.load(
        tiny_model_file, device="cpu", backend="onnxruntime", allow_cpu_fallback=False
    )
    assert (model.device_asked, model.device) == ("cpu", "cpu")
    assert (model.backend_asked, model.backend) == ("onnxruntime", "onnxruntime")
    assert model.rejected_backends == ()


@pytest.mark.skipif(
    "CUDAExecutionProvider" in import_onnxruntime().get_available_providers(),
    reason="this ONNX Runtime has CUDA",
)
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_missing_device_is_said_or_refused(tiny_model_file, device) -> None:
    model = HeadPoseModel.load(tiny_model_file, device=device)
    assert (model.device_asked, model.device) == (device, "cpu")
    assert model.rejected_backends[0].startswith(
        f"onnxruntime on {device}: this ONNX Runtime has "
    )
    with pytest.raises(DeviceError, match=rf"asked for '{device}'(?s:.*)headpose-ehpnet\[gpu\]"):
        HeadPoseModel.load(tiny_model_file, device=device, allow_cpu_fallback=False)


@pytest.mark.parametrize(("what", "value"), [("device", "gpu"), ("backend", "tflite")])
def test_unknown_devices_and_backends_are_refused(tiny_model_file, what, value) -> None:
    with pytest.raises(DeviceError, match=rf"{what}: expected auto.* got '{value}'"):
        HeadPoseModel.load(tiny_model_file, **{what: value})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"backend": "openvino", "device": "cuda"}, "'openvino' runs on cpu, got 'cuda'"),
        ({"backend": "torch", "device": "tensorrt"}, "'torch' runs on cuda, cpu, got 'tensorrt'"),
    ],
)
def test_a_backend_is_not_asked_for_a_device_that_it_never_has(
    tiny_model_file, wrong, message
) -> None:
    with pytest.raises(DeviceError, match=message):
        HeadPoseModel.load(tiny_model_file, **wrong)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"precision": "int4"}])
def test_settings_out_of_range_are_refused_with_the_range(tiny_model_file, wrong) -> None:
    with pytest.raises(ValueError, match=r"expected .* got"):
        HeadPoseModel.load(tiny_model_file, **wrong)


def test_an_output_whose_sizes_only_a_run_tells_is_measured(tmp_path) -> None:
    """The tracing exporter leaves them open."""
    for bins, good in ((62, True), (66, False)):
        model = tiny_model(bins=bins)
        for axis, dim in enumerate(model.graph.output[0].type.tensor_type.shape.dim):
            dim.dim_param = f"axis{axis}"
        path = tmp_path / "open.onnx"
        path.write_bytes(model.SerializeToString())
        if good:
            HeadPoseModel.load(path)
        else:
            with pytest.raises(ModelError, match=r"open\.onnx: expected logits \(1, 3, 62\)"):
                HeadPoseModel.load(path)


def test_values_that_are_not_finite_are_a_failure_of_the_device(tmp_path) -> None:
    """Nobody gets them as angles, and no track is filtered with them from then on."""
    path = tmp_path / "overflows.onnx"
    path.write_bytes(tiny_model(sharpness=1e38).SerializeToString())
    with pytest.raises(DeviceError, match="onnxruntime on cpu: returned values that are not"):
        HeadPoseModel.load(path, backend="onnxruntime").infer(np.zeros((1, 112, 112, 3), np.uint8))


def python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own, with these folders in front of its path."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*path, REPOSITORY)))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_importing_the_library_imports_no_runtime() -> None:
    code = (
        "import sys, headpose_core, headpose_core.commands.cli\n"
        "print({'onnxruntime', 'openvino', 'torch', 'scipy', 'rclpy'} & set(sys.modules))"
    )
    assert python(code).stdout == "set()\n"


def test_two_onnx_runtimes_are_refused(tmp_path) -> None:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    code = "from headpose_core.onnx_files.sessions import import_onnxruntime as f; f()"
    assert "DeviceError: expected one ONNX Runtime" in python(code, tmp_path).stderr


def test_a_missing_onnx_runtime_says_what_to_install(tmp_path) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('no such library')")
    code = "from headpose_core import YuNet; YuNet()"
    told = python(code, tmp_path).stderr
    assert "DeviceError: expected ONNX Runtime to be installed" in told
    assert "pip install 'headpose-ehpnet[cpu]'" in told
