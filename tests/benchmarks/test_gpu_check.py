# SPDX-License-Identifier: Apache-2.0
"""The check of a GPU, run on a CPU: its figures, its table, and what it says without a GPU."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import gpu_check
from benchmarks.gpu_check import BATCHES, WAYS, Task, main, run_task
from headpose_core.onnx_files.sessions import import_onnxruntime

PROVIDERS = import_onnxruntime().get_available_providers()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, car_video: Path) -> None:
    monkeypatch.setattr(gpu_check, "BATCHES", (1, 8))


def task(backend: str, device: str = "cpu", most_deg: float = 0.01) -> Task:
    return Task("ehpnet_lite", backend, device, "fp32", most_deg, 0.0, "")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_what_is_measured(backend: str) -> None:
    if not find_spec(backend):
        pytest.skip(f"needs {backend}")
    told = run_task(task(backend))
    assert told["ok"] and told["cpu_takes_over"]
    assert told["largest_deg"] <= 0.01
    assert told["ms"].keys() == {"1", "8"}
    assert all(ms > 0 for ms in told["ms"].values())
    assert 0 < told["ready_s"] < 600
    json.dumps(told)


@pytest.mark.usefixtures("quick")
def test_a_difference_that_is_too_large_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    told = run_task(task("onnxruntime", most_deg=-1.0))
    assert not told["ok"]
    table = {**vars(task("onnxruntime")), **told}
    assert " OFF " in gpu_check._line(table)


@pytest.mark.skipif("CUDAExecutionProvider" in PROVIDERS, reason="this ONNX Runtime has CUDA")
def test_without_a_gpu_each_way_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ways = [way for way in WAYS["cuda"] if way[0] == "onnxruntime" and way[2] == "fp16"]
    monkeypatch.setitem(WAYS, "cuda", ways)
    out = tmp_path / "check.json"
    assert main(["--model", "ehpnet_lite", "--json", str(out)]) == 1
    told = json.loads(out.read_text())
    assert [row["device"] for row in told["rows"]] == ["cuda", "tensorrt"]
    assert all("headpose-ehpnet[gpu]" in row["error"] for row in told["rows"])
    printed = capsys.readouterr().out
    assert printed.count("OFF") == 2
    assert "card: " in printed


def test_a_process_that_crashes_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    done = SimpleNamespace(stdout="", stderr="", returncode=-11)
    monkeypatch.setattr(gpu_check.subprocess, "run", lambda *a, **k: done)
    row = gpu_check._in_a_process(task("torch"))
    assert (row["ok"], row["error"]) == (False, "it ended with -11")
    assert "OFF  it ended with -11" in gpu_check._line(row)


def test_every_engine_and_precision_of_a_gpu_is_checked() -> None:
    assert {way[:3] for way in WAYS["cuda"]} >= {
        (backend, "cuda", precision)
        for backend in ("onnxruntime", "torch")
        for precision in ("fp32", "fp16")
    } | {("onnxruntime", "tensorrt", "fp16")}
    assert BATCHES == (1, 8, 64, 512)
