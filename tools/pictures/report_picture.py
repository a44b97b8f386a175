# SPDX-License-Identifier: Apache-2.0
"""A picture of a report: two rendered people for some seconds, looked at by a real browser."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from headpose_core.commands.cli import main as headpose
from headpose_core.images.image_files import read_image, write_image
from headpose_core.images.video import write_video
from headpose_core.types import FloatArray, Image

SECONDS, RATE_HZ = 12.0, 10.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WINDOW = (1150, 1910)
Render = Callable[[int, FloatArray], Image]


def draw_report(path: Path, render: Render) -> None:
    """Write the screenshot of a report about a rendered recording.

    render: person and angles_deg (3,) to a frame (H, W, 3) uint8 RGB. Raises SystemExit when there
    is no browser.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(
            f"{path}: expected a browser ({', '.join(BROWSERS)}): apt install chromium"
        )
    with tempfile.TemporaryDirectory() as folder:
        video, poses, page = (Path(folder, f"drive.{end}") for end in ("mp4", "jsonl", "html"))
        with write_video(video, RATE_HZ) as writer:
            for frame in _frames(render):
                writer.write(frame)
        headpose(["video", str(video), "--jsonl", str(poses), "--quiet"])
        headpose(["report", str(poses), "--video", str(video), "--out", str(page)])
        shot = Path(folder, "shot.png")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={folder}/profile", "--virtual-time-budget=20000"]
        command += [f"--window-size={WINDOW[0]},{WINDOW[1]}", f"--screenshot={shot}"]
        subprocess.run([*command, page.as_uri()], check=True, capture_output=True)
        write_image(path, read_image(shot))


def _frames(render: Render) -> Iterator[Image]:
    """Two people side by side; the second one is hidden for a while."""
    for number in range(round(SECONDS * RATE_HZ)):
        time = number / RATE_HZ
        glance = 45.0 * np.exp(-(((time - 4.0) / 0.8) ** 2))
        nod = 20.0 * np.exp(-(((time - 8.0) / 0.6) ** 2))
        driver = np.array([8 * np.sin(time) + glance, 4 * np.sin(1.7 * time) - nod, 3.0])
        passenger = np.array([-25 + 12 * np.sin(0.8 * time), 5.0, 8 * np.sin(0.6 * time)])
        left, right = render(11, driver), render(3, passenger)
        if 6.0 <= time < 7.5:
            right = np.asarray(cv2.blur(right, (301, 301)), np.uint8)
        yield np.hstack([left, right])
