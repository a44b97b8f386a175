# SPDX-License-Identifier: Apache-2.0
"""Video files: images with their time stamps in, annotated images out. Sound is not carried on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from headpose_core.errors import ImageError
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


class VideoWriter:
    """Writes an MP4 file. It appears under its name when the ``with`` block ends without error.

    fps: images per second. All images must have the size of the first; odd sizes lose a line,
    which the codec cannot store. Raises ImageError when the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float) -> None:
        self._path = Path(path)
        if self._path.suffix.lower() != ".mp4":
            raise ImageError(f"{path}: expected the name of an .mp4 file")
        self._temporary = self._path.with_name(f".{self._path.stem}.{os.getpid()}.mp4")
        self._fps = fps
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._images = 0

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, image: Image) -> None:
        """Append an image, (H, W, 3) uint8 RGB."""
        height, width = (side - side % 2 for side in image.shape[:2])
        if self._writer is None:
            self._size = (width, height)
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._temporary), codec, self._fps, self._size)
            if not self._writer.isOpened():
                raise ImageError(f"{self._path}: cannot write a video of {width}x{height} here")
        if (width, height) != self._size:
            raise ImageError(f"expected images of {self._size}, got one of {(width, height)}")
        self._writer.write(cv2.cvtColor(image[:height, :width], cv2.COLOR_RGB2BGR))
        self._images += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        try:
            if kind is None and self._writer is not None:
                self._check()
                self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def _check(self) -> None:
        """OpenCV does not tell when the disk is full: ask the file."""
        stored = VideoReader(self._temporary).count if self._temporary.is_file() else 0
        if stored < self._images:
            raise ImageError(
                f"{self._path}: wrote {self._images} images, the file holds {stored}; "
                "is the disk full?"
            )
