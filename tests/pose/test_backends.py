# SPDX-License-Identifier: Apache-2.0
"""Every backend says the same of the same crops. Real runtimes on real pictures."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from importlib.util import find_spec

import numpy as np
import pytest

from headpose_core.benchmark.machine import processor
from headpose_core.errors import DeviceError, ModelError
from headpose_core.faces.yunet import YuNet
from headpose_core.images.crop import CROP_SIZE, crop_faces, square_boxes
from headpose_core.images.image_view import as_view
from headpose_core.images.video import VideoReader
from headpose_core.onnx_files.sessions import import_onnxruntime
from headpose_core.pose.backends import candidates
from headpose_core.pose.head_pose_model import HeadPoseModel
from tests.places import REPOSITORY

FLOAT = "ehpnet_resnet18"
NEEDS = {"openvino": "openvino", "torch": "torch"}


@pytest.fixture(scope="module")
def reference() -> HeadPoseModel:
    return HeadPoseModel.load(FLOAT, device="cpu", backend="onnxruntime")


@pytest.fixture(scope="module")
def crops(astronaut, car_video) -> np.ndarray:
    """Faces of the astronaut and of the man in the car, and noise on a ramp."""
    detector = YuNet()
    images = [astronaut, *(image for stamp, image in VideoReader(car_video) if stamp < 0.1)]
    views = [as_view(image) for image in images]
    faces = [crop_faces(v, square_boxes(detector.detect(v).boxes[:1])) for v in views]
    ramp = np.linspace(0, 200, CROP_SIZE, dtype=np.float32)[None, :, None, None]
    noise = np.random.default_rng(0).uniform(0, 55, (1, CROP_SIZE, CROP_SIZE, 3))
    return np.concatenate([*faces, (ramp + noise).astype(np.uint8)])


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_backends_agree_on_real_crops(backend, crops, reference) -> None:
    pytest.importorskip(NEEDS[backend], reason=f"needs {backend}")
    model = HeadPoseModel.load(FLOAT, device="cpu", backend=backend, precision="fp32")
    assert (model.backend_asked, model.backend, model.device) == (backend, backend, "cpu")
    assert (model.precision, model.rejected_backends) == ("fp32", ())
    expected = reference.infer(crops)
    assert np.ptp(expected) > 10  # they say something
    for count in (1, 3, len(crops)):
        np.testing.assert_allclose(model.infer(crops[:count]), expected[:count], atol=2e-4)


def test_one_face_and_many_agree_in_the_small_network(crops) -> None:
    """OpenVINO has a graph for each of the two."""
    pytest.importorskip("openvino", reason="needs openvino")
    small, lite = (
        HeadPoseModel.load("ehpnet_lite", device="cpu", backend=backend)
        for backend in ("openvino", "onnxruntime")
    )
    expected = lite.infer(crops)
    for count in (1, 3, 1, len(crops), 1):  # in turns
        np.testing.assert_allclose(small.infer(crops[:count]), expected[:count], atol=2e-4)
    one = np.concatenate([small.infer(crop[None]) for crop in crops])
    np.testing.assert_allclose(one, expected, atol=2e-4)


def test_every_cpu_computes_in_fp32_unless_told_otherwise(crops, reference) -> None:
    """OpenVINO left to itself takes bf16 where the processor has it."""
    pytest.importorskip("openvino", reason="needs openvino")
    model = HeadPoseModel.load(FLOAT, device="cpu", backend="openvino")
    assert model.precision == "fp32"
    np.testing.assert_allclose(model.infer(crops), reference.infer(crops), atol=2e-4)
    if "bf16" in processor():
        model = HeadPoseModel.load(FLOAT, device="cpu", backend="openvino", precision="bf16")
        assert model.precision == "bf16"
        got, expected = (m.decode(m.infer(crops)).mean_deg for m in (model, reference))
        off = np.abs(got - expected)  # one crop has two peaks, and its mean moves more
        assert off.mean() < 0.3 and off.max() < 3.0


def test_crops_that_do_not_lie_together_in_memory(crops, reference) -> None:
    """As they come out of a slice or a flip."""
    for backend in ("onnxruntime", *(b for b in NEEDS if find_spec(b))):
        model = HeadPoseModel.load(FLOAT, device="cpu", backend=backend)
        flipped = crops[:, :, ::-1]
        np.testing.assert_allclose(
            model.infer(flipped), reference.infer(np.ascontiguousarray(flipped)), atol=2e-4
        )


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "torch"])
def test_other_threads_run_during_inference(backend) -> None:
    """The node receives images while it works on one: a runtime must not hold the GIL."""
    pytest.importorskip(backend, reason=f"needs {backend}")
    model = HeadPoseModel.load(FLOAT, device="cpu", backend=backend)
    many = np.zeros((48, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    model.infer(many[:1])
    begun, turns = threading.Event(), 0

    def work() -> None:
        begun.set()
        model.infer(many)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    while thread.is_alive():
        turns += 1
    assert turns > 200_000  # held, it would be what fits into the 5 ms before threads change


def test_a_cpu_takes_openvino_where_it_is_installed(tiny_model_file) -> None:
    model = HeadPoseModel.load(tiny_model_file, device="cpu")
    assert model.backend == ("openvino" if find_spec("openvino") else "onnxruntime")
    assert model.backend_asked == "auto"


@pytest.mark.skipif(
    "CUDAExecutionProvider" in import_onnxruntime().get_available_providers(),
    reason="this ONNX Runtime has CUDA",
)
def test_a_gpu_is_missed_by_those_who_asked_for_it(tiny_model_file) -> None:
    assert HeadPoseModel.load(tiny_model_file).rejected_backends == ()
    assert len(HeadPoseModel.load(tiny_model_file, device="cuda").rejected_backends) == 1


def test_the_order_in_which_backends_are_tried(monkeypatch) -> None:
    monkeypatch.setattr("headpose_core.pose.backends.find_spec", lambda name: True)
    cpu = [("openvino", "cpu"), ("onnxruntime", "cpu")]
    assert candidates("auto", "auto", True) == [("onnxruntime", "cuda"), *cpu]
    assert candidates("auto", "auto", False) == [("onnxruntime", "cuda"), *cpu]
    assert candidates("auto", "tensorrt", True)[:2] == [
        ("onnxruntime", "tensorrt"),
        ("onnxruntime", "cuda"),
    ]
    assert candidates("auto", "cuda", False) == [("onnxruntime", "cuda")]
    assert candidates("torch", "auto", True) == [("torch", "cuda"), ("torch", "cpu")]
    assert candidates("torch", "cuda", False) == [("torch", "cuda")]
    monkeypatch.setattr("headpose_core.pose.backends.find_spec", lambda name: None)
    assert candidates("auto", "cpu", True) == cpu[1:]
    assert candidates("openvino", "cpu", True) == cpu[:1]


def test_torch_refuses_networks_that_it_cannot_build(tiny_model_file) -> None:
    pytest.importorskip("torch", reason="needs torch")
    with pytest.raises(ModelError, match="expected a network with one of the backbones"):
        HeadPoseModel.load(tiny_model_file, backend="torch")


@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
def test_a_precision_that_the_device_does_not_have_is_refused(backend) -> None:
    pytest.importorskip(backend, reason=f"needs {backend}")
    with pytest.raises(DeviceError, match=r"fp32, got fp16"):
        HeadPoseModel.load(FLOAT, device="cpu", backend=backend, precision="fp16")


def test_openvino_leaves_python_its_signals() -> None:
    """Also when a model is freed in another thread than it was loaded in."""
    pytest.importorskip("openvino", reason="needs openvino")
    code = (
        "import signal, threading\n"
        "from headpose_core.pose.head_pose_model import HeadPoseModel\n"
        "models = [HeadPoseModel.load(backend='openvino')]\n"
        "thread = threading.Thread(target=models.clear)\n"
        "thread.start()\n"
        "thread.join()\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_openvino_reports_to_nobody(tmp_path) -> None:
    """With its telemetry package installed, and with its converter there for who asks."""
    pytest.importorskip("openvino", reason="needs openvino")
    package = tmp_path / "openvino_telemetry"
    (package / "backend").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('reported')")
    code = (
        "from headpose_core.pose.head_pose_model import HeadPoseModel\n"
        "assert HeadPoseModel.load(backend='openvino').backend == 'openvino'\n"
        "import sys; print('openvino_telemetry' in sys.modules)\n"
    )
    variables = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    for prelude, expected in (("", "False\n"), ("import openvino.tools.ovc\n", "")):
        done = subprocess.run(
            [sys.executable, "-c", prelude + code],
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout == expected, done.stderr
        assert ("reported" in done.stderr) == bool(prelude)  # the trap does snap


def test_a_backend_that_is_not_installed_says_what_to_install(tmp_path) -> None:
    (tmp_path / "openvino.py").write_text("raise ImportError('no such library')")
    code = "from headpose_core import HeadPoseModel as M; M.load(backend='openvino')"
    variables = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "DeviceError" in done.stderr
    assert "pip install 'headpose-ehpnet[cpu,openvino]'" in done.stderr
