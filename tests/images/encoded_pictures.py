# SPDX-License-Identifier: Apache-2.0
"""A picture in every encoding of sensor_msgs/Image, written without the converter's help."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

# Four flat quarters, so that subsampled chroma and demosaicing leave the middles as they are.
COLOURS = np.array([[[200, 30, 40], [20, 180, 60]], [[25, 50, 210], [128, 128, 128]]], np.uint8)
PICTURE = np.kron(COLOURS, np.ones((8, 8, 1), np.uint8))
MIDDLES = np.ix_((4, 12), (4, 12))


def make_message(
    values: np.ndarray, encoding: str, *, padding: int = 0, big_endian: bool = False
) -> SimpleNamespace:
    """The fields of a sensor_msgs/Image of (rows, W[, C]) values, with `padding` bytes of noise
    after each row."""
    stored = values.astype(values.dtype.newbyteorder(">" if big_endian else "<"))
    rows = [row.tobytes() + bytes(range(7, 7 + padding)) for row in stored]
    return SimpleNamespace(
        height=PICTURE.shape[0],
        width=PICTURE.shape[1],
        encoding=encoding,
        step=len(rows[0]),
        is_bigendian=int(big_endian),
        data=b"".join(rows),
    )


def yuv_planes(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y (H, W), and U, V averaged over 2x2 pixels, as ITU-R BT.601 has them for video."""
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    y = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255
    u = 128 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255
    v = 128 + (112.0 * r - 93.786 * g - 18.214 * b) / 255
    halves = (c.reshape(c.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3)) for c in (u, v))
    return tuple(np.round(plane).astype(np.uint8) for plane in (y, *halves))


def packed_422(rgb: np.ndarray, order: str) -> np.ndarray:
    """(H, W, 2): two pixels share a pair of chroma values."""
    y, u, v = yuv_planes(rgb)
    u, v = np.repeat(u, 2, axis=0), np.repeat(v, 2, axis=0)
    parts = {"y0": y[:, 0::2], "y1": y[:, 1::2], "u": u, "v": v}
    return np.stack([parts[name] for name in order.split()], axis=-1).reshape(*y.shape, 2)


def planar_420(rgb: np.ndarray, order: str) -> np.ndarray:
    """(3 H / 2, W): Y, then interleaved chroma."""
    y, u, v = yuv_planes(rgb)
    pairs = (u, v) if order == "uv" else (v, u)
    return np.vstack([y, np.stack(pairs, axis=-1).reshape(-1, y.shape[1])])


def bayer(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """(H, W): what a sensor sees under a filter that begins with the letters of `pattern`."""
    mosaic = np.empty(rgb.shape[:2], rgb.dtype)
    for i, colour in enumerate(pattern):
        row, column = divmod(i, 2)
        mosaic[row::2, column::2] = rgb[row::2, column::2, "rgb".index(colour)]
    return mosaic


def encode(encoding: str) -> np.ndarray:
    """The picture as values of an encoding, written without the converter's help."""
    alpha = np.full((*PICTURE.shape[:2], 1), 99, np.uint8)
    wide = PICTURE.astype(np.uint16) * 257
    base = encoding.rstrip("0123456789")
    if base.startswith("bayer_"):
        return bayer(wide if encoding.endswith("16") else PICTURE, base[6:])
    return {
        "rgb8": lambda: PICTURE,
        "bgr8": lambda: PICTURE[..., ::-1],
        "8UC3": lambda: PICTURE[..., ::-1],
        "rgba8": lambda: np.concatenate([PICTURE, alpha], axis=-1),
        "bgra8": lambda: np.concatenate([PICTURE[..., ::-1], alpha], axis=-1),
        "rgb16": lambda: wide,
        "bgr16": lambda: wide[..., ::-1],
        "mono8": lambda: PICTURE[..., 1],
        "8UC1": lambda: PICTURE[..., 1],
        "mono16": lambda: wide[..., 1],
        "16UC1": lambda: wide[..., 1],
        "yuv422": lambda: packed_422(PICTURE, "u y0 v y1"),
        "uyvy": lambda: packed_422(PICTURE, "u y0 v y1"),
        "yuv422_yuy2": lambda: packed_422(PICTURE, "y0 u y1 v"),
        "yuyv": lambda: packed_422(PICTURE, "y0 u y1 v"),
        "nv12": lambda: planar_420(PICTURE, "uv"),
        "nv21": lambda: planar_420(PICTURE, "vu"),
    }[encoding]()
