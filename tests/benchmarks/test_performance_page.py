# SPDX-License-Identifier: Apache-2.0
"""docs/performance.md is written from measured figures, and what is measured already is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import run_all
from benchmarks.page import BEGIN, END, FRAME_STAGES, write_page, write_plot
from tests.places import REPOSITORY

MARKED = f"# Page\n\nbefore\n\n{BEGIN}old\n{END}\nafter\n"


def result(model: str, backend: str, batch: int, ms: float, floor: float | None) -> dict[str, Any]:
    told = {"model": model, "backend": backend, "precision": "fp32", "threads": 1, "batch": batch}
    return {**told, "ms_per_face": ms, "median_ms": ms, "floor_ms": floor}


def stages(ms: float) -> list[dict[str, Any]]:
    size = {"width": 1280, "height": 720, "faces": 1, "share": 0.1}
    rows = [{**size, "stage": name, "ms": ms, "ratio": None} for name in FRAME_STAGES]
    return [*rows, {**size, "stage": "total", "ms": 8 * ms, "ratio": 2.5, "cpu_ms": 7.0}]


def frames(backend: str) -> dict[str, Any]:
    told = {"model": "big", "backend": backend, "device": "cpu", "precision": "fp32"}
    return {**told, "threads": 1}


FIGURES: dict[str, Any] = {
    "bench": {
        "machine": {"processor": "Abacus (avx2)", "date": "2026-01-02", "numpy": "2.4.6"},
        "peak": {"fp32_gmac_s": 45.2, "int8_gmac_s": 88.0, "copy_gb_s": 8.5},
        "results": [
            result("big", "onnxruntime", 1, 12.0, 10.0),
            result("big", "onnxruntime", 8, 11.0, 10.0),
            result("FSA-Net", "onnxruntime", 1, 3.0, None),
            result("FSA-Net", "onnxruntime", 8, 2.0, None),
        ],
        "frames": frames("openvino"),
        "stages": stages(1.5),
    },
    "bench_default": {"frames": frames("onnxruntime"), "stages": stages(2.5)},
    "start": [{"model": "big", "backend": "openvino", "first_pose_s": 0.61, "rss_mb": 145.4}],
    "latency": {
        "720p30raw": {
            "node": {"sent": 150, "arrived": 147, "lost": 1, "dropped": 2, "p50": 20.0}
            | {"p95": 25.0, "p99": 30.0, "cpu_percent": 40.0, "memory_mb": 250.0},
            "empty": {"sent": 150, "lost": 3, "p50": 5.0, "p95": 6.0, "p99": 7.0}
            | {"cpu_percent": 14.0},
        },
        "idle": {"cpu_percent": 0.31},
        "start": {"model": "big 1.0", "backend": "openvino", "device": "cpu"}
        | {"precision": "int8", "first_pose_s": 1.234, "rss_mb": 222.2},
    },
    "detect_every": [
        {"every": 3, "detections": 40, "find_ms": 2.2, "mean_deg": 0.37, "p95_deg": 1.55}
    ],
}


def test_the_page_has_the_figures_and_its_own_words(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(MARKED)
    for _ in range(2):  # the second time in the place of the first
        write_page(FIGURES, page)
    text = page.read_text()
    assert text.startswith("# Page\n\nbefore\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    for row in (
        "| big | onnxruntime | fp32 | 12.00 | 11.00 | 91 | 1.0 | 1.20 |",
        "| FSA-Net | onnxruntime | fp32 | 3.00 | 2.00 | 500 | 4.0 | - |",
        "| big | openvino | 0.61 | 145 |",
        "| node | big 1.0, int8 | openvino | 1.23 | 222 |",
        "| 720p30raw | 20.0 / 25.0 / 30.0 | 15.0 / 19.0 / 23.0 | 40 % | 14 % | 1 / 2 of 150 "
        "| 3 of 150 | 250 |",
        "| 3 | 40 | 2.2 | 0.37 | 1.55 |",
    ):
        assert text.count(row) == 1
    assert "Abacus (avx2)" in text
    assert "Without images: 0.3 % of a core." in text
    # The default install beside the best one.
    for backend, ms in (("onnxruntime", "2.50"), ("openvino", "1.50")):
        heading = f"### A camera frame, stage by stage: big on {backend} (cpu, fp32)\n"
        _, table = text.split(heading)
        assert f"| 1280x720 | 1 | {ms} |" in table.partition("###")[0]


def test_frames_are_measured_with_the_default_and_best_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[object, ...]] = []
    monkeypatch.setattr(run_all, "run", lambda *arguments, into: ran.append(arguments))
    monkeypatch.setattr(run_all, "model_path", lambda name: f"{name}.onnx")
    made = run_all.steps(None)
    for name in ("bench_default.json", "bench_int8.json"):
        made[name](tmp_path / name)
    default, best = ([str(word) for word in arguments] for arguments in ran)
    assert default[-4:] == ["--model", "ehpnet_resnet18.onnx", "--backend", "onnxruntime"]
    assert best[-2:] == ["--model", "ehpnet_resnet18_int8.onnx"]  # on what is best here


def test_a_page_without_marks_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="expected <!-- figures -->"):
        write_page(FIGURES, page)
    assert page.read_text() == "no marks"


def test_the_real_page_has_the_marks() -> None:
    text = (REPOSITORY / "docs" / "performance.md").read_text()
    assert text.count(BEGIN) == text.count(END) == 1


def test_a_picture_comes_of_it(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    write_plot(FIGURES, path)
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert path.stat().st_size > 10_000


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    broken = True

    def step(name: str) -> Any:
        def make(path: Path) -> None:
            made.append(name)
            path.write_text("half")
            if name == "start" and broken:
                raise KeyboardInterrupt
            path.write_text(json.dumps(FIGURES[name]))

        return make

    names = ("bench", "start", "latency")
    monkeypatch.setattr(run_all, "steps", lambda *_: {f"{n}.json": step(n) for n in names})
    written: list[dict[str, Any]] = []
    monkeypatch.setattr(run_all, "write_page", lambda figures, page: written.append(figures))
    monkeypatch.setattr(run_all, "write_plot", lambda figures, path: None)
    with pytest.raises(KeyboardInterrupt):
        run_all.main(["--out", str(tmp_path)])
    broken = False
    run_all.main(["--out", str(tmp_path)])
    assert made == ["bench", "start", "start", "latency"]
    assert written == [{name: FIGURES[name] for name in names}]
