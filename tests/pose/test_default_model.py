# SPDX-License-Identifier: Apache-2.0
"""Which file is taken when none is named: by the processor's own word, the same everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from headpose_core.commands.cli import main
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_view import as_view
from headpose_core.onnx_files.onnx_file import describe
from headpose_core.pose import instructions, shipped
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.instructions import Processor, this_processor
from headpose_core.pose.shipped import DEFAULT_INT8_MODEL, DEFAULT_MODEL, chosen_model

# What Linux says of processors, shortened.
ZEN_5 = "model name : AMD Ryzen 9 9950X\nflags : fpu avx2 avx512f avx512_vnni avx_vnni\n"
ALDER_LAKE = "processor : 0\nmodel name : Intel(R) Core(TM) i7-1260P\nflags : fpu avx2 avx_vnni\n"
SAPPHIRE = "model name : Intel(R) Xeon(R) 8481C\nflags : avx2 avx512_vnni amx_tile amx_int8\n"
HASWELL = "model name : Intel(R) Core(TM) i5-4590\nflags : fpu sse4_2 avx avx2 fma\n"
ZEN_3 = "model name : AMD Ryzen 7 5800X\nflags : fpu avx2 vaes vpclmulqdq\n"
ORIN = "processor : 0\nFeatures : fp asimd aes asimdhp asimddp lrcpc\nCPU part : 0xd42\n"
GRAVITON_3 = "processor : 0\nFeatures : fp asimd asimdhp asimddp sve i8mm bf16\n"
PI_4 = "processor : 0\nBogoMIPS : 108.00\nFeatures : fp asimd evtstrm crc32 cpuid\n"


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Makes this machine one of another processor."""

    def on(cpuinfo: str) -> None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
        monkeypatch.setattr(instructions, "_CPUINFO", tmp_path / "cpuinfo")

    return on


@pytest.mark.parametrize(
    ("cpuinfo", "reason"),
    [
        (ZEN_5, "int8: AMD Ryzen 9 9950X has AVX-512 VNNI and AVX-VNNI"),
        (ALDER_LAKE, "int8: Intel(R) Core(TM) i7-1260P has AVX-VNNI"),
        (SAPPHIRE, "int8: Intel(R) Xeon(R) 8481C has AMX and AVX-512 VNNI"),
        (GRAVITON_3, "has I8MM and dot products"),
        (ORIN, "has dot products"),
    ],
)
def test_int8_where_the_processor_is_made_for_it(on, cpuinfo: str, reason: str) -> None:
    on(cpuinfo)
    chosen = chosen_model(None, "onnxruntime", "cpu", "auto")
    assert chosen.path == DEFAULT_INT8_MODEL
    assert reason in chosen.reason


@pytest.mark.parametrize(
    ("cpuinfo", "reason"),
    [
        (HASWELL, "float: Intel(R) Core(TM) i5-4590 has no instructions for int8"),
        (ZEN_3, "float: AMD Ryzen 7 5800X has no instructions for int8"),
        (PI_4, "has no instructions for int8"),
        ("", "has instructions that are not known"),
    ],
)
def test_float_on_other_processors(on, cpuinfo: str, reason: str) -> None:
    on(cpuinfo)
    for backend in ("onnxruntime", "openvino"):
        chosen = chosen_model(None, backend, "cpu", "auto")
        assert chosen.path == DEFAULT_MODEL
        assert reason in chosen.reason


def test_a_machine_without_cpuinfo_takes_float(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(instructions, "_CPUINFO", tmp_path / "absent")
    assert this_processor().flags == frozenset()
    assert chosen_model(None, "onnxruntime", "cpu", "auto").path == DEFAULT_MODEL


@pytest.mark.parametrize(
    ("backend", "device", "precision", "reason"),
    [
        ("onnxruntime", "cuda", "auto", "float: a GPU computes in float16"),
        ("onnxruntime", "tensorrt", "auto", "float: a GPU computes in float16"),
        ("torch", "cpu", "auto", "float: torch runs no other"),
        ("torch", "cuda", "fp16", "float: a GPU"),
        ("onnxruntime", "cpu", "fp32", "float: fp32 was asked for"),
        ("openvino", "cpu", "bf16", "float: bf16 was asked for"),
    ],
)
def test_float_where_int8_is_not_what_is_fastest_or_asked_for(
    on, backend: str, device: str, precision: str, reason: str
) -> None:
    on(ZEN_5)
    chosen = chosen_model(None, backend, device, precision)
    assert chosen.path == DEFAULT_MODEL
    assert chosen.reason.startswith(reason)


def test_openvino_on_arm_keeps_float(on) -> None:
    on(ORIN)
    assert chosen_model(None, "openvino", "cpu", "auto").path == DEFAULT_MODEL
    on(ZEN_5)
    assert chosen_model(None, "openvino", "cpu", "auto").path == DEFAULT_INT8_MODEL


def test_what_is_named_is_taken(on, tiny_model_file: Path) -> None:
    on(ZEN_5)
    for given, path in (("ehpnet_resnet18", DEFAULT_MODEL), (tiny_model_file, tiny_model_file)):
        for backend in ("onnxruntime", "openvino"):
            chosen = chosen_model(given, backend, "cpu", "auto")
            assert (chosen.path, chosen.reason) == (path, "it was asked for")


@pytest.mark.parametrize(
    ("cpuinfo", "precision", "path"),
    [(ALDER_LAKE, "int8", DEFAULT_INT8_MODEL), (HASWELL, "fp32", DEFAULT_MODEL)],
)
def test_the_library_and_the_commands_take_the_same(
    on, capsys: pytest.CaptureFixture[str], cpuinfo: str, precision: str, path: Path
) -> None:
    on(cpuinfo)
    model = HeadPoseModel.load(device="cpu", backend="onnxruntime")
    assert (model.precision, model.chosen.path) == (precision, path)
    # Spreads, and so covariances, are those of the file in use.
    told = describe(path.read_bytes()).properties["temperature"]
    assert model.metadata.temperature.tolist() == json.loads(told)
    assert main(["info", "--device", "cpu", "--backend", "onnxruntime"]) == 0
    printed = capsys.readouterr().out
    assert str(path) in printed
    assert model.chosen.reason in printed


def test_what_a_gpu_would_take_is_float_and_the_cpu_takes_int8(on) -> None:
    """One load that falls back from the one to the other."""
    on(SAPPHIRE)
    model = HeadPoseModel.load(device="cuda", backend="onnxruntime")
    if model.device == "cuda":
        pytest.skip("this machine has a GPU")
    assert model.chosen.path == DEFAULT_INT8_MODEL
    assert "onnxruntime on cuda" in model.rejected_backends[0]


def test_both_defaults_say_nearly_the_same_of_a_face(astronaut: np.ndarray) -> None:
    view = as_view(astronaut)
    boxes = YuNet().detect(view).boxes
    models = [
        HeadPoseModel.load(path, device="cpu") for path in (DEFAULT_MODEL, DEFAULT_INT8_MODEL)
    ]
    angles = [m.decode(m.infer(m.crop(view, boxes))).mean_deg for m in models]
    np.testing.assert_allclose(*angles, atol=1.0)
    assert models[1].metadata.name == f"{models[0].metadata.name}_int8"


def test_a_processor_names_what_it_has() -> None:
    assert Processor("x", frozenset({"avx2"})).integers == ""
    assert Processor("x", frozenset({"i8mm", "avx2"})).integers == "I8MM"
    assert this_processor().name
    assert set(shipped.shipped_models()) >= {DEFAULT_MODEL, DEFAULT_INT8_MODEL}
