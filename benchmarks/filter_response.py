# SPDX-License-Identifier: Apache-2.0
"""What the filter of orientations does to noise, to a fast turn, and to a still head in a picture.

python -m benchmarks.filter_response --out docs/images/filter.png
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import tyro
from matplotlib.axes import Axes

from benchmarks.car_video import car_video
from headpose_core.faces.tracking import Tracker
from headpose_core.faces.yunet import YuNet
from headpose_core.geometry.orientation_filter import FilterSettings, OrientationFilter
from headpose_core.geometry.rotation import angles_from_matrix, geodesic_deg, matrix_from_angles
from headpose_core.images.video import VideoReader
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.types import FloatArray, Head

GIVEN, FILTERED = "#9aa0a6", "#d1372c"
COVARIANCE = np.eye(3) * np.radians(3.0) ** 2


@dataclass(frozen=True)
class ResponseConfig:
    """What goes into the filter, and where the picture goes."""

    out: Path = Path("docs/images/filter.png")
    rate_hz: float = 30.0
    noise_deg: float = 0.4
    turn_deg_s: float = 200.0
    filter: FilterSettings = field(default_factory=FilterSettings)
    camera_noise: float = 2.0
    """Grey levels that are added to the picture, other ones in each image."""


def main() -> None:
    """Command line."""
    config = tyro.cli(ResponseConfig, description=__doc__)
    figure, panels = plt.subplots(1, 3, figsize=(12.6, 3.4), dpi=110)
    for draw, axes in zip((draw_noise, draw_turn, draw_picture), panels, strict=True):
        draw(axes, config)
        axes.set_xlabel("seconds")
        axes.set_ylabel("yaw, degrees")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="upper left")
    figure.tight_layout()
    config.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(config.out)


def draw_noise(axes: Axes, config: ResponseConfig) -> None:
    """White noise about each axis of a head that looks ahead."""
    rng = np.random.default_rng(0)
    count = round(60.0 * config.rate_hz)
    given = rng.normal(0.0, config.noise_deg, (count, 3))
    filtered = angles_from_matrix(run(matrix_from_angles(given), config))
    settled = slice(round(config.rate_hz), None)
    fall = given[settled].std() / filtered[settled].std()
    shown = slice(round(config.rate_hz), round(7 * config.rate_hz))
    t = np.arange(count)[shown] / config.rate_hz
    axes.plot(t, given[shown, 0], color=GIVEN, lw=0.8, label=f"given, {config.noise_deg:g}°")
    label = f"filtered, {filtered[settled].std():.2f}°"
    axes.plot(t, filtered[shown, 0], color=FILTERED, lw=1.6, label=label)
    axes.set_title(f"White noise: {fall:.1f} times quieter", fontsize=10)
    axes.set_ylim(-4 * config.noise_deg, 6 * config.noise_deg)
    print(f"noise: {config.noise_deg:g} -> {filtered[settled].std():.3f} degrees")


def draw_turn(axes: Axes, config: ResponseConfig) -> None:
    """From one side to the other, without noise."""
    t = np.arange(0.0, 1.2, 1.0 / config.rate_hz)
    yaw = np.clip((t - 0.3) * config.turn_deg_s, 0.0, 60.0) - 30.0
    given = matrix_from_angles(np.stack([yaw, 0 * yaw, 0 * yaw], axis=1))
    filtered = run(given, config)
    lag = geodesic_deg(given, filtered).max() / config.turn_deg_s * config.rate_hz
    style: dict[str, Any] = {"marker": "o", "ms": 3.0, "lw": 1.2}
    axes.plot(t, yaw, color=GIVEN, label="given", **style)
    axes.plot(t, angles_from_matrix(filtered)[:, 0], color=FILTERED, label="filtered", **style)
    title = f"Turn of {config.turn_deg_s:g} degrees/s: {lag:.1f} frames behind at most"
    axes.set_title(title, fontsize=10)
    print(f"turn: {lag:.2f} frames behind at most")


def draw_picture(axes: Axes, config: ResponseConfig) -> None:
    """The first image of the video, over and over under camera noise, each detected afresh."""
    _, picture = next(iter(VideoReader(car_video())))
    rng, count = np.random.default_rng(0), round(7 * config.rate_hz)
    pipeline = HeadPosePipeline(YuNet(), HeadPoseModel.load(device="cpu"), Tracker())
    pipeline.filter.settings = config.filter
    heads: list[Head] = []
    for i in range(count):
        noisy = picture + rng.normal(0.0, config.camera_noise, picture.shape)
        image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        heads += pipeline(image, i / config.rate_hz).heads
    settled = heads[round(config.rate_hz) :]
    t = 1.0 + np.arange(len(settled)) / config.rate_hz
    given = np.array([head.paper_angles_deg for head in settled])
    filtered = angles_from_matrix(np.array([head.rotation for head in settled]))
    width = float(settled[0].box[2] - settled[0].box[0])
    middle = given.mean(axis=0)
    for angles, colour, width_pt, what in (
        (given, GIVEN, 0.8, "given"),
        (filtered, FILTERED, 1.6, "filtered"),
    ):
        label = f"{what}, {angles.std(axis=0).mean():.2f}°"
        axes.plot(t, (angles - middle)[:, 0], color=colour, lw=width_pt, label=label)
    axes.set_title(f"A face of {width:.0f} pixels under camera noise", fontsize=10)
    axes.set_ylim(-4 * config.noise_deg, 6 * config.noise_deg)
    print(f"picture: {given.std(axis=0).mean():.3f} -> {filtered.std(axis=0).mean():.3f} degrees")


def run(rotations: FloatArray, config: ResponseConfig) -> FloatArray:
    """One head (N, 3, 3), image by image."""
    one_euro = OrientationFilter(config.filter)
    return np.array(
        [
            one_euro.update(i / config.rate_hz, ["f1"], [R], [COVARIANCE])[0][0]
            for i, R in enumerate(rotations)
        ]
    )


if __name__ == "__main__":
    main()
