# SPDX-License-Identifier: Apache-2.0
"""Annotated images as a video that keeps their time. Sound is not carried on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from headpose_core.errors import ImageError
from headpose_core.images.video import import_av
from headpose_core.output_files import atomic_write, byte_stream, is_stream, told_by_name
from headpose_core.types import Image

_TICKS = 60000  # a second: all usual rates are whole numbers of them; the codec counts to 65535
_LONGEST_GAP_S = 3600.0  # a clock that was set, and the codec needs a bit for each second
_QUALITY = 3  # 1 to 31, best first, of every image: a rate would need even steps of time
# A pipe cannot be gone back in: what players need comes at the begin and with the images.
_IN_PIECES = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


@contextmanager
def write_video(
    path: str | os.PathLike[str], fps: float, comment: str = ""
) -> Iterator[VideoWriter]:
    """An MP4 file for the images that are written in the block. It appears when the block ends.

    Its folder is made. A device, a pipe and standard output ("-") get the images as they come.
    fps: images per second, for those without stamps, and for how long the last one is shown.
    comment: of the file. Raises ImageError when images do not fit, OSError when the file cannot be
    written.
    """
    import_av()
    target = Path(path)
    if is_stream(target):
        with byte_stream(target) as stream, _video(stream, fps, comment, target) as writer:
            yield writer
        return
    if target.suffix.lower() != ".mp4":
        raise ImageError(f"{path}: expected the name of an .mp4 file")
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(target) as unfinished,
        unfinished.open("wb") as file,
        _video(file, fps, comment, target) as writer,
    ):
        yield writer


@contextmanager
def _video(file: BinaryIO, fps: float, comment: str, path: Path) -> Iterator[VideoWriter]:
    with ExitStack() as stack:
        writer = VideoWriter(file, fps, comment, path)
        stack.callback(writer.abandon)
        yield writer
        if not writer.count:
            raise ImageError(f"{path}: expected at least one image to write, got none")
        writer.finish()


class VideoWriter:
    """The inside of ``write_video``. count: images written so far."""

    def __init__(self, file: BinaryIO, fps: float, comment: str, path: Path) -> None:
        import av

        self.count = 0
        self._path, self._step = path, max(1, round(_TICKS / fps))
        options = {} if file.seekable() else _IN_PIECES
        self._container = av.open(file, "w", format="mp4", container_options=options)
        if comment:
            self._container.metadata["comment"] = comment
        self._stream: Any = None
        self._size = (0, 0)
        self._tick, self._stamp_s = 0, 0.0

    def write(self, image: Image, stamp_s: float | None = None) -> None:
        """Append an image, (H, W, 3) uint8 RGB, of the size of the first.

        stamp_s: when it is shown, in seconds of any clock. Odd sizes lose a line or a column,
        which the codec cannot store.
        """
        import av

        height, width = (side - side % 2 for side in image.shape[:2])
        if self._stream is None:
            self._begin(width, height)
        if (width, height) != self._size:
            raise ImageError(
                f"{self._path}: expected images of {self._size}, got one of {(width, height)}"
            )
        pixels = np.ascontiguousarray(image[:height, :width])
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = self._next_tick(stamp_s), Fraction(1, _TICKS)
        self._mux(frame)
        self.count += 1

    def finish(self) -> None:
        """Write what is left."""
        self._mux(None)
        with told_by_name(self._path):
            self._container.close()

    def abandon(self) -> None:
        """Let go of the file; what of it was written may be broken."""
        import av

        with suppress(av.FFmpegError, OSError, ValueError):  # it was said why there is no video
            self._container.close()

    def _begin(self, width: int, height: int) -> None:
        import av

        try:
            self._stream = self._container.add_stream("mpeg4")
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = "yuv420p"
            self._stream.time_base = Fraction(1, _TICKS)
            context = self._stream.codec_context
            context.time_base = Fraction(1, _TICKS)
            context.options = {"flags": "+qscale", "qmin": str(_QUALITY), "qmax": str(_QUALITY)}
            context.thread_type = "AUTO"
            context.open()
        except (av.FFmpegError, ValueError, OverflowError) as error:
            told = f"cannot write a video of {width}x{height} pixels"
            raise ImageError(f"{self._path}: {told} ({error})") from error
        self._size = (width, height)

    def _next_tick(self, stamp_s: float | None) -> int:
        """When the next image is shown, after the last one whatever the clock says."""
        if self.count:
            gap = 0.0 if stamp_s is None else stamp_s - self._stamp_s
            strange = stamp_s is None or not 0.0 <= gap <= _LONGEST_GAP_S
            self._tick += self._step if strange else max(1, round(gap * _TICKS))
        self._stamp_s = stamp_s or 0.0
        return self._tick

    def _mux(self, frame: Any) -> None:
        with told_by_name(self._path):
            for packet in self._stream.encode(frame):
                packet.duration = self._step
                self._container.mux(packet)
