# SPDX-License-Identifier: Apache-2.0
"""What the demo leaves behind: the table, poses.jsonl, the annotated video and the plot."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np

from headpose_core.drawing import draw_heads, readable_zoom
from headpose_core.images import video_writer
from headpose_core.images.video import VideoReader
from headpose_core.messages.records import head_record
from headpose_core.types import Head
from tools.demo.recorder import Recorder

mpl.use("Agg")

from matplotlib import pyplot as plt

_COLOURS = {"yaw": "#d62728", "pitch": "#2ca02c", "roll": "#1f77b4"}


def table(recorder: Recorder, sent: int) -> str:
    """What became of the frames, how long it took and on which device."""
    values, count = recorder.values, recorder.count
    heads = [head for heads in recorder.heads.values() for head in heads]
    with_face = sum(bool(heads) for heads in recorder.heads.values())
    ids = sorted({head.face_id for head in heads})
    latencies = recorder.latencies_ms or [float("nan")]
    p50, p95 = np.percentile(latencies, [50, 95])
    rows = {
        "frames sent": f"{sent}",
        "frames received": f"{count('images_in')} ({sent - count('images_in')} lost on the way)",
        "frames processed": f"{count('images_processed')} ({len(recorder.heads)} messages came)",
        "frames dropped": f"{count('images_dropped')} (a newer one was there)",
        "frames failed": f"{count('images_failed')}",
        "faces": f"{len(heads)} in {with_face} frames, ids: {', '.join(ids) or 'none'}",
        "TF transforms": f"{recorder.transforms}",
        "latency": f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, from the frame's stamp to its message",
        "model": values.get("model", "?"),
        "device": f"asked {values.get('device_asked', '?')}, got {values.get('device', '?')}"
        f" ({values.get('backend', '?')})",
    }
    width = max(map(len, rows))
    return "\n".join(f"  {name:<{width}}  {text}" for name, text in rows.items())


def write_poses(path: Path, heads: dict[float, list[Head]]) -> None:
    """A JSON line for each message, in the order of their stamps; the angles are the paper's."""
    lines = (
        json.dumps({"stamp": round(stamp, 6), "heads": [head_record(head) for head in found]})
        for stamp, found in sorted(heads.items())
    )
    path.write_text("".join(f"{line}\n" for line in lines))


def write_video(
    path: Path, video: Path, stamps: list[float], heads: dict[float, list[Head]]
) -> None:
    """The video with the heads drawn into the frames that `stamps` were given to, in order."""
    reader = VideoReader(video)
    with video_writer.write_video(path, reader.fps) as writer:
        for stamp, (_, image) in zip(stamps, reader, strict=False):  # it may have been cut short
            writer.write(draw_heads(image, heads.get(stamp, []), zoom=readable_zoom(image)))


def write_plot(path: Path, heads: dict[float, list[Head]]) -> None:
    """Yaw, pitch and roll of each face over time, with a band of one sigma."""
    start = min(heads)
    tracks: dict[str, list[tuple[float, Head]]] = {}
    for stamp, found in sorted(heads.items()):
        for head in found:
            tracks.setdefault(head.face_id, []).append((stamp - start, head))
    figure, rows = plt.subplots(3, 1, sharex=True, figsize=(9, 7), layout="constrained")
    for i, (axis, (name, colour)) in enumerate(zip(rows, _COLOURS.items(), strict=True)):
        for face_id, track in tracks.items():
            time = np.array([time for time, _ in track])
            angle = np.array([head.paper_angles_deg[i] for _, head in track])
            std = np.array([head.std_deg[i] for _, head in track])
            axis.fill_between(time, angle - std, angle + std, color=colour, alpha=0.2, lw=0)
            axis.plot(time, angle, color=colour, label=face_id)
        axis.set_ylabel(f"{name} [deg]")
        axis.grid(alpha=0.3)
        if tracks:
            axis.legend(loc="upper right")
    rows[0].set_title("Head pose, angles of the paper, with one sigma")
    rows[-1].set_xlabel("time [s]")
    figure.savefig(path, dpi=120)
    plt.close(figure)
