# SPDX-License-Identifier: Apache-2.0
"""Images with their time stamps out of video files.

By PyAV, which is FFmpeg: OpenCV does not tell how wide pixels are, how the container mirrors them
or when each image is shown, and takes file names for addresses. PyAV gets the open file and never
its name, and FFmpeg may open nothing else: a file that is a list of others leads nowhere.
"""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headpose_core.errors import ImageError
from headpose_core.images.picture_headers import check_pixels
from headpose_core.types import Image

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.video.stream import VideoStream

VIDEOS = (
    *(".3gp", ".asf", ".avi", ".dv", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
    *(".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)
"""The endings of files that are taken from folders of videos."""

MOST_PIXELS = 1 << 26  # 67 megapixels; 8K has 33
# Nothing else is opened, and no image of more pixels is unpacked.
_OPTIONS = {"protocol_whitelist": "none", "max_pixels": str(MOST_PIXELS)}
_LEAST_PYAV = (17, 1)
FALLBACK_FPS = 30.0
_DURATION = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d+)?)")
_DAMAGED, _LOST = "images that are damaged", "images that cannot be decoded"
_MISSING_S = 1.0  # images may end before the sound does


class VideoReader:
    """The images of a video file in order and once, as (stamp_s, (H, W, 3) uint8 RGB).

    They are upright, not mirrored, and their pixels are square: as players show them. Stamps are
    the container's and count from its beginning; where it has none, they follow ``fps``.
    fps: images per second, nominal. count: images that the file announces, or an estimate by its
    length; 0 when unknown. notes: in words, as "has ...", what was announced or begun and could
    not be read; complete after the last image. comment: of the file, "" without one.
    The file is open until the last image, or ``close``.
    Raises ImageError when it cannot be opened as a video.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        version = import_av()
        import av
        from av.video.reformatter import VideoReformatter

        self._name, self.notes, self._seen = str(path), list[str](), Counter[str]()
        self._reformatter = VideoReformatter()
        self._turn: tuple[int, bytes] | None = None  # degrees, without mirrors, and the matrix
        if not Path(path).is_file():
            raise ImageError(f"{path}: expected a video file, there is no such file")
        with ExitStack() as stack:
            try:
                file = stack.enter_context(Path(path).open("rb"))
                # What titles say need not be UTF-8; from 19.0 on PyAV takes them as they come.
                if version < (19, 0):
                    container = av.open(file, "r", options=_OPTIONS, metadata_errors="replace")
                else:
                    container = av.open(file, "r", options=_OPTIONS)
            except (av.FFmpegError, OSError, ValueError) as error:
                told = getattr(error, "strerror", None) or error
                told = f"expected a video (MP4, AVI, MKV, ...): {told}"
                raise ImageError(f"{path}: {told}") from error
            self._container = container
            stack.callback(container.close)
            self._stream = self._chosen()
            self.close = stack.pop_all().close
        rate = self._stream.guessed_rate or self._stream.average_rate
        self.fps = float(rate) if rate and 0 < rate < 1000 else FALLBACK_FPS
        self.comment = self._container.metadata.get("comment", "")
        self._announced, self._length_s = max(0, self._stream.frames), self._told_length_s()
        self.count = self._announced or round(self._length_s * self.fps)

    def _chosen(self) -> VideoStream:
        """The first stream of images that is no cover of a record, ready to be decoded."""
        from av.stream import Disposition

        cover = Disposition.attached_pic
        streams = [s for s in self._container.streams.video if not s.disposition & cover]
        if not streams:
            raise ImageError(f"{self._name}: expected a video, there are no images in it")
        if len(streams) > 1:
            self.notes.append(f"has {len(streams)} streams of images, the first one is read")
        (stream, *_) = streams
        if not stream.codec_context:
            raise ImageError(f"{self._name}: FFmpeg does not know how its images are packed")
        if stream.width and stream.height:  # else the first image tells
            check_pixels(stream.width, stream.height, self._name, MOST_PIXELS)
        stream.codec_context.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        return stream

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        stamp, length = -1.0 / self.fps, 0.0
        begin = self._stream.start_time
        try:
            for frame in self._frames():
                if begin is None:
                    begin = frame.pts or 0
                told, length = stamp, 1.0 / self.fps
                if frame.pts is not None and frame.time_base:
                    told = float((frame.pts - begin) * frame.time_base)
                    length = max(length, float((frame.duration or 0) * frame.time_base))
                stamp = told if told > stamp else stamp + 1.0 / self.fps
                image = self._pixels(frame)
                if image is None:
                    self._seen[_LOST] += 1
                    continue
                self._seen["images"] += 1
                self._seen[_DAMAGED] += frame.is_corrupt
                yield stamp, image
        finally:
            self.close()
        self._note_losses(stamp + length)

    def _frames(self) -> Iterator[VideoFrame]:
        """What can be decoded; the rest is counted."""
        import av

        for packet in self._packets():
            is_last = packet.dts is None and packet.pts is None and not packet.size
            self._seen["packets"] += not is_last
            if not packet.size and not is_last:
                continue  # the image before is shown once more; FFmpeg would take it for the end
            try:
                yield from packet.decode()
            except (av.FFmpegError, ValueError):
                self._seen[_LOST] += 1

    def _note_losses(self, end_s: float) -> None:
        """What was announced or begun, and did not come."""
        seen, missing_s = self._seen, self._length_s - end_s
        for what in (_DAMAGED, _LOST):
            if seen[what]:
                self.notes.append(f"has {what}: {seen[what]}")
        if not self._announced and missing_s > _MISSING_S:
            told = f"is {self._length_s:.1f} s long, its images end {missing_s:.1f} s before"
            self.notes.append(told)
        # Editors of MP4 hide images without a change of their number, but they change the length.
        may_hide = "mp4" in self._container.format.name and missing_s < 0.5 / self.fps
        if seen["packets"] < self._announced and not may_hide:
            told = f"announces {self._announced} images, {seen['images']} could be read"
            self.notes.append(told)

    def _packets(self) -> Iterator[Packet[Any]]:
        import av

        try:
            yield from self._container.demux(self._stream)
        except IndexError:
            return  # PyAV, behind the last packet, at a stream that began later
        except (av.FFmpegError, OSError) as error:
            self.notes.append(f"cannot be read to its end: {error.strerror}")

    def _pixels(self, frame: VideoFrame) -> Image | None:
        """Square pixels, then turned; None for what is no colour, in broken data."""
        import av

        width, ratio = frame.width, self._stream.sample_aspect_ratio
        if ratio and ratio != 1:
            width = round(width * ratio)
            check_pixels(width, frame.height, self._name, MOST_PIXELS)
        # One for all frames and one thread: else each frame begins a pool of its own.
        try:
            rgb = self._reformatter.reformat(frame, width, frame.height, "rgb24", threads=1)
        except (av.FFmpegError, ValueError):
            return None
        image = np.asarray(rgb.to_ndarray(), np.uint8)
        if self._turn is None or self._turn[0] != frame.rotation:
            self._turn = frame.rotation, _matrix_of(frame)
        return turned(image, self._turn[1]) if self._turn[1] else image

    def _told_length_s(self) -> float:
        """Of the images, as the file says; 0 when it does not."""
        stream, container = self._stream, self._container
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        told = _DURATION.match(stream.metadata.get("DURATION", ""))  # Matroska
        if told:
            hours, minutes, seconds = told.groups()
            return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)
        alone = len(container.streams) == 1
        return container.duration / 1e6 if alone and container.duration else 0.0


def _matrix_of(frame: VideoFrame) -> bytes:
    """The display matrix of a frame, b"" without one.

    Who asks has the frame kept in memory until Python looks for circles: not for each of them.
    """
    from av.sidedata.sidedata import SideData

    matrix = frame.side_data.get("DISPLAYMATRIX")
    return bytes(matrix) if isinstance(matrix, SideData) else b""


def turned(image: Image, matrix: bytes) -> Image:
    """An image as a container's display matrix wants it, by quarter turns and mirrors.

    matrix: nine int32 a, b, u, c, d, v, x, y, w of this machine's order (libavutil/display.h): a
    pixel x, y is shown at a x + c y, b x + d y.
    """
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def import_av() -> tuple[int, ...]:
    """PyAV's version. Raises ImageError, with the remedy, when it is missing or too old.

    Before 17.1 options of FFmpeg end the process, in MPEG streams for one.
    """
    try:
        import av
    except ImportError as error:
        raise ImageError(f"expected PyAV for videos, got '{error}': pip install av") from error
    version = tuple(map(int, av.__version__.split(".")[:2]))
    if version < _LEAST_PYAV:
        least = ".".join(map(str, _LEAST_PYAV))
        told = f"expected PyAV {least} or later for videos, got {av.__version__}"
        raise ImageError(f"{told}: pip install --upgrade av")
    return version
