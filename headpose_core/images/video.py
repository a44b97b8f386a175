# SPDX-License-Identifier: Apache-2.0
"""Video files: images with their time stamps in, annotated images out. Sound is not carried on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from headpose_core.errors import ImageError
from headpose_core.output_files import atomic_write
from headpose_core.types import Image

_FALLBACK_FPS = 30.0


class VideoReader:
    """The images of a video file in order, as (stamp_s, (H, W, 3) uint8 RGB).

    fps: images per second. count: images that the file announces, an estimate; 0 when unknown.
    Raises ImageError when the file cannot be opened as a video.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not Path(path).is_file():
            raise ImageError(f"{path}: expected a video file, there is no such file")
        self._capture = cv2.VideoCapture(os.fspath(path))
        if not self._capture.isOpened():
            raise ImageError(f"{path}: expected a video that OpenCV can read (MP4, AVI, MKV, ...)")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0.0 < fps < 1000.0 else _FALLBACK_FPS
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        stamp = -1.0 / self.fps
        while True:
            done, image = self._capture.read()
            if not done:
                return
            # The container's time; where it has none, or stands still, the nominal rate.
            told = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
            stamp = told if told > stamp else stamp + 1.0 / self.fps
            yield stamp, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def open_camera(source: str) -> tuple[cv2.VideoCapture, float]:
    """A camera by its number, or by what else OpenCV opens (rtsp://..., a pipeline), and its rate.

    Raises ImageError, with the cameras that are there, when it does not open.
    """
    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if not capture.isOpened():
        found = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "no /dev/video*"
        raise ImageError(f"camera {source}: expected one that OpenCV can open, there is {found}")
    fps = capture.get(cv2.CAP_PROP_FPS)
    return capture, fps if 0.0 < fps < 1000.0 else _FALLBACK_FPS


def capture_images(
    capture: cv2.VideoCapture, clock: Callable[[], float]
) -> Iterator[tuple[float, Image]]:
    """What a camera sees, with the time of the clock, in seconds, until it ends."""
    while True:
        done, image = capture.read()
        if not done:
            return
        yield clock(), np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


@contextmanager
def write_video(path: str | os.PathLike[str], fps: float) -> Iterator[VideoWriter]:
    """An MP4 file for the images that are written in the block. It appears when the block ends.

    fps: images per second. Raises ImageError when the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() != ".mp4":
        raise ImageError(f"{path}: expected the name of an .mp4 file")
    with atomic_write(target) as file:
        writer = VideoWriter(file, fps)
        try:
            yield writer
        finally:
            writer.close()
        if not writer.count:
            raise ImageError(f"{path}: expected at least one image to write, got none")
        # OpenCV does not tell when the disk is full: ask the file.
        stored = VideoReader(file).count
        if stored < writer.count:
            raise ImageError(f"{path}: expected {writer.count} images in the file, got {stored}")


class VideoWriter:
    """The inside of ``write_video``.

    count: images written so far.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.count = 0
        self._path, self._fps = path, fps
        self._size = (0, 0)
        self._writer: cv2.VideoWriter | None = None

    def write(self, image: Image) -> None:
        """Append an image, (H, W, 3) uint8 RGB, of the size of the first.

        Odd sizes lose a line or a column, which the codec cannot store.
        """
        height, width = (side - side % 2 for side in image.shape[:2])
        if self._writer is None:
            self._size = (width, height)
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), codec, self._fps, self._size)
            if not self._writer.isOpened():
                folder = self._path.parent
                raise ImageError(f"cannot write a video of {width}x{height} pixels in {folder}")
        if (width, height) != self._size:
            raise ImageError(
                f"{self._path}: expected images of {self._size}, got one of {(width, height)}"
            )
        self._writer.write(cv2.cvtColor(image[:height, :width], cv2.COLOR_RGB2BGR))
        self.count += 1

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()
