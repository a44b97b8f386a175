# SPDX-License-Identifier: Apache-2.0
"""Everything that needs a GPU, on a GPU: python -m benchmarks.gpu_check [--json FILE]

Every backend and precision, each in a process of its own: agreement with the CPU on 256 faces,
time of one face and of many, time until it is ready and memory, TensorRT's engine built and read
again, and the CPU taking over from a device that fails. Prints a table; ends with 1 when
something is off. Under three minutes, but for TensorRT's first engine. `--device cpu` runs the
same on a CPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.car_video import car_video
from benchmarks.processes import REPOSITORY
from headpose_core.benchmark.first_pose import peak_memory_mb
from headpose_core.benchmark.machine import machine
from headpose_core.errors import DeviceError
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_view import as_view
from headpose_core.images.video import VideoReader
from headpose_core.pose.backends.engine_cache import gpu_name
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.shipped import model_path
from headpose_core.types import FloatArray

CROPS = 256
BATCHES = (1, 8, 64, 512)
# Backend, device, precision, and the largest difference of an angle from fp32 on the CPU [deg].
WAYS = {
    "cuda": (
        ("onnxruntime", "cuda", "fp32", 0.01),
        ("onnxruntime", "cuda", "fp16", 0.05),
        ("torch", "cuda", "fp32", 0.01),
        ("torch", "cuda", "fp16", 0.1),
        ("torch", "cuda", "bf16", 1.0),
        ("onnxruntime", "tensorrt", "fp32", 0.05),
        ("onnxruntime", "tensorrt", "fp16", 0.1),
    ),
    "cpu": (
        ("onnxruntime", "cpu", "fp32", 0.01),
        ("openvino", "cpu", "fp32", 0.01),
        ("torch", "cpu", "fp32", 0.01),
    ),
}


@dataclass(frozen=True)
class Task:
    """One way to run a network."""

    model: str
    backend: str
    device: str
    precision: str
    most_deg: float
    seconds: float
    cache: str


def main(arguments: list[str] | None = None) -> int:
    """0 when everything is as it should be, 1 when something is off."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_check", description=__doc__)
    parser.add_argument("--device", choices=sorted(WAYS), default="cuda")
    parser.add_argument("--model", nargs="+", default=["ehpnet_resnet18", "ehpnet_lite"])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each time (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(arguments)
    try:
        card = gpu_name() if args.device == "cuda" else "no GPU asked for"
    except DeviceError as error:
        card = f"none: {error}"
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for name in args.model:
            for way in WAYS[args.device]:
                rows.append(_in_a_process(Task(name, *way, args.seconds, f"{cache}/{name}")))
                print(_line(rows[-1]), flush=True)
    told = {"card": card, "machine": machine(), "rows": rows}
    print(
        "\n" + "\n".join(f"{key}: {value}" for key, value in {"card": card, **machine()}.items())
    )
    if args.json:
        args.json.write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(row["ok"] for row in rows) else 1


def _in_a_process(task: Task) -> dict[str, Any]:
    """What came of a task; a crash is one of the things that can come of it."""
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--task", json.dumps(vars(task))]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    told = {name: getattr(task, name) for name in ("model", "backend", "device", "precision")}
    try:
        return {**told, **json.loads(done.stdout.splitlines()[-1])}
    except (ValueError, IndexError):
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        return told | {"ok": False, "error": lines[-1]}


def run_task(task: Task) -> dict[str, Any]:
    """Everything about one way to run a network, as JSON."""
    begun = time.perf_counter()
    try:
        model = _load(task)
    except DeviceError as error:
        return {"ok": False, "error": " ".join(str(error).split())}
    ready_s = time.perf_counter() - begun  # it has run once
    pixels = _faces(model)
    reference = HeadPoseModel.load(model_path(task.model), device="cpu", backend="onnxruntime")
    apart = np.abs(_angles(model, pixels) - _angles(reference, pixels))
    told: dict[str, Any] = {
        "largest_deg": float(apart.max()),
        "mean_deg": float(apart.mean()),
        "ready_s": ready_s,
        "ms": {str(count): _milliseconds(model, pixels, count, task) for count in BATCHES},
        "rss_mb": peak_memory_mb(),
        "gpu_mb": _gpu_memory_mb(),
        "cpu_takes_over": _cpu_takes_over(model, pixels, task),
    }
    if task.device == "tensorrt":  # its engine is there now
        begun = time.perf_counter()
        _load(task)
        told["engine_again_s"] = time.perf_counter() - begun
    told["ok"] = bool(apart.max() <= task.most_deg and told["cpu_takes_over"])
    return told


def _load(task: Task) -> HeadPoseModel:
    return HeadPoseModel.load(
        model_path(task.model),
        device=task.device,
        backend=task.backend,
        precision=task.precision,
        allow_cpu_fallback=False,
        engine_cache_dir=task.cache,
    )


def _faces(model: HeadPoseModel) -> NDArray[np.uint8]:
    """Crops (N, 112, 112, 3) of a real face, as it moves and a little beside it."""
    detector, rng, crops = YuNet(), np.random.default_rng(0), []
    for _, image in islice(VideoReader(car_video()), 0, None, 7):
        view = as_view(image)
        boxes = np.repeat(detector.detect(view).boxes[:1], CROPS // 16, axis=0)
        crops.append(model.crop(view, boxes + rng.normal(0.0, 3.0, boxes.shape)))
    return np.concatenate(crops)[:CROPS]


def _angles(model: HeadPoseModel, pixels: NDArray[np.uint8]) -> FloatArray:
    return model.decode(model.infer(pixels)).mean_deg


def _milliseconds(
    model: HeadPoseModel, pixels: NDArray[np.uint8], count: int, task: Task
) -> float:
    """The middle time of so many faces at once."""
    batch = np.concatenate([pixels] * -(-count // len(pixels)))[:count]
    for _ in range(3):
        model.infer(batch)
    taken: list[float] = []
    end = time.perf_counter() + task.seconds
    while not taken or time.perf_counter() < end:
        begun = time.perf_counter()
        model.infer(batch)
        taken.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(taken)


def _gpu_memory_mb() -> float | None:
    """Memory in use on the first GPU, of all processes; None where nvidia-smi does not say it."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(done.stdout.split()[0]) * 1.048576
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        return None


def _cpu_takes_over(model: HeadPoseModel, pixels: NDArray[np.uint8], task: Task) -> bool:
    """Whether a device that fails in mid-stream is told as that, and the CPU goes on."""

    class Broken:
        name, device, precision = model.backend, model.device, model.precision

        def infer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            raise RuntimeError("CUDA failure 999: unknown error")

    expected = _angles(model, pixels[:1])
    broken = HeadPoseModel(
        Broken(), model.metadata, backend_asked="auto", device_asked="auto", chosen=model.chosen
    )
    try:
        broken.infer(pixels[:1])
    except DeviceError:
        cpu = HeadPoseModel.load(model.chosen.path, device="cpu")
        return bool(np.abs(_angles(cpu, pixels[:1]) - expected).max() <= task.most_deg)
    return False


def _line(row: dict[str, Any]) -> str:
    name = f"{row['model']:<16} {row['backend']:<11} {row['device']:<8} {row['precision']:<4}"
    if "error" in row:
        return f"{name} OFF  {row['error']}"
    times = "  ".join(
        f"{count}: {ms:.3f} ms, {1e3 * int(count) / ms:.0f}/s" for count, ms in row["ms"].items()
    )
    again = f", engine again {row['engine_again_s']:.1f} s" if "engine_again_s" in row else ""
    gpu = "" if row["gpu_mb"] is None else f" + {row['gpu_mb']:.0f} on the GPU"
    return (
        f"{name} {'ok ' if row['ok'] else 'OFF'} {row['largest_deg']:.4f} deg  {times}  "
        f"ready {row['ready_s']:.1f} s{again}, {row['rss_mb']:.0f} MB{gpu}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        print(json.dumps(run_task(Task(**json.loads(sys.argv[2])))))
    else:
        sys.exit(main())
