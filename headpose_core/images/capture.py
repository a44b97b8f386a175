# SPDX-License-Identifier: Apache-2.0
"""Cameras, by OpenCV: what drivers and networks have, live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from headpose_core.errors import ImageError
from headpose_core.images.video import FALLBACK_FPS
from headpose_core.types import Image


def open_camera(source: str) -> tuple[cv2.VideoCapture, float]:
    """A camera by its number, or by what else OpenCV opens (rtsp://..., a pipeline), and its rate.

    Raises ImageError, with the cameras that are there, when it does not open.
    """
    try:
        source.encode()  # OpenCV ends the process at a name that is not UTF-8
        capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
        is_open = capture.isOpened()
    except (cv2.error, OverflowError, ValueError):
        is_open = False
    if not is_open:
        found = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "no /dev/video*"
        raise ImageError(f"camera {source}: expected one that OpenCV can open, there is {found}")
    fps = capture.get(cv2.CAP_PROP_FPS)
    return capture, fps if 0.0 < fps < 1000.0 else FALLBACK_FPS


def capture_images(
    capture: cv2.VideoCapture, clock: Callable[[], float]
) -> Iterator[tuple[float, Image]]:
    """What a camera sees, with the time of the clock, in seconds, until it ends."""
    while True:
        done, image = capture.read()
        if not done:
            return
        yield clock(), np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
