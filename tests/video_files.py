# SPDX-License-Identifier: Apache-2.0
"""Videos as cameras, telephones and editors write them, made by PyAV."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from headpose_core.types import Image


def pictures(count: int, size: tuple[int, int] = (64, 48)) -> list[Image]:
    """Images that differ in each corner and from each other."""
    width, height = size
    found = []
    for i in range(count):
        image = np.zeros((height, width, 3), np.uint8)
        image[: height // 2, : width // 2] = (200, 40, 40)
        image[: height // 2, width // 2 :] = (40, 200, 40)
        image[height // 2 :, : width // 2] = (40, 40, 200)
        image[height // 2 :, width // 2 :] = 20 + 10 * (i % 20)
        found.append(image)
    return found


def encode(
    path: Path,
    images: Sequence[Image],
    *,
    codec: str = "mpeg4",
    rate: int = 30,
    stamps_ms: Sequence[int] | None = None,
    ratio: Fraction = Fraction(1),
    container: str | None = None,
) -> Path:
    """A video of these images; its container by the name's ending.

    stamps_ms: when they are shown, evenly when None. ratio: width of a pixel by its height.
    """
    with path.open("wb") as file:
        box = av.open(file, "w", format=container or _CONTAINERS[path.suffix])
        stream = box.add_stream(codec, rate=rate)
        stream.width, stream.height = images[0].shape[1], images[0].shape[0]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        stream.codec_context.sample_aspect_ratio = ratio
        if stamps_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, rate)
            if stamps_ms is not None:
                frame.pts, frame.time_base = stamps_ms[i], Fraction(1, 1000)
            for packet in stream.encode(frame):
                box.mux(packet)
        for packet in stream.encode():
            box.mux(packet)
        box.close()
    return path


def with_matrix(mp4: bytes, a: int, b: int, c: int, d: int) -> bytes:
    """The MP4 with this in the header of its track: a pixel x, y is shown at ax + cy, bx + dy."""
    begin = mp4.index(b"tkhd") + 4
    assert mp4[begin] == 0, "another version of the box"
    at = begin + 40  # behind version, flags, times, number, duration, layer, volume
    one = 1 << 16
    matrix = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    return mp4[:at] + matrix + mp4[at + 36 :]


_CONTAINERS = {
    ".avi": "avi",
    ".flv": "flv",
    ".m4v": "mp4",
    ".mkv": "matroska",
    ".mov": "mov",
    ".mp4": "mp4",
    ".mpg": "mpeg",
    ".mts": "mpegts",
    ".ts": "mpegts",
    ".webm": "webm",
}
