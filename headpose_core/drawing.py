# SPDX-License-Identifier: Apache-2.0
"""Heads drawn on their image: box, axes, one-sigma of the nose's direction, id and direction.

The axes are those of REP-103 in RViz's colours: x red out of the face, y green to the person's
left, z blue to the crown. They are drawn about the viewing ray, as one sees them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.geometry.direction import Direction
from headpose_core.geometry.rotation import BODY_TO_OPTICAL
from headpose_core.images.image_view import check_image
from headpose_core.types import FloatArray, Head, Image

_AXES = ((235, 50, 45), (55, 200, 70), (60, 120, 255))
_WHITE, _AMBER, _DARK = (255, 255, 255), (255, 180, 40), (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_CAPITAL_PX = 21.0  # of the font at scale 1
_SUBPIXEL_BITS = 4
_READABLE_SIDE = 480
_LABEL_PER_BOX = 2.5  # width


def draw_heads(
    image: Image, heads: Sequence[Head], *, zoom: float = 1.0, caption: str = ""
) -> Image:
    """An annotated copy of an image.

    image: (H, W, 3) uint8 RGB. heads: of this image, drawn last first so that the most prominent,
    which comes first in a ``Frame``, lies on top. zoom: enlarges the copy, so that there is room
    for text on small images; ``readable_zoom`` suggests one. caption: ASCII for the lower left
    corner, shrunk where the image is narrower. Amber marks an extrapolated pose.
    """
    check_image(image)
    if not zoom > 0.0:
        raise ValueError(f"zoom: expected more than 0, got {zoom}")
    height, width = (max(1, round(side * zoom)) for side in image.shape[:2])
    method = cv2.INTER_CUBIC if zoom > 1.0 else cv2.INTER_AREA
    canvas = np.array(cv2.resize(image, (width, height), interpolation=method), np.uint8)
    for head in reversed(heads):
        _draw_head(canvas, head, zoom)
    if caption:
        _draw_caption(canvas, caption)
    return canvas


def readable_zoom(image: Image) -> float:
    """A whole zoom that brings the shorter side of a small image to 480 pixels or more."""
    return float(-(-_READABLE_SIDE // min(_READABLE_SIDE, *image.shape[:2])))


def _draw_head(canvas: Image, head: Head, zoom: float) -> None:
    # Pixel centres are whole numbers, so the zoomed image is shifted by half a pixel.
    box = (np.asarray(head.box, np.float64) + 0.5) * zoom - 0.5
    side = float(np.max(box[2:] - box[:2]))
    stroke = max(1, round(min(max(canvas.shape[:2]) / 400, side / 40)))
    colour = _AMBER if head.extrapolated else _WHITE
    _draw_corners(canvas, box, colour, stroke)
    _draw_axes(canvas, head, (box[:2] + box[2:]) / 2, side * 0.55, round(1.5 * stroke))
    _draw_label(canvas, head, box, colour)


def _draw_axes(canvas: Image, head: Head, origin: FloatArray, length: float, stroke: int) -> None:
    """The three axes, the farthest from the viewer first, each on a dark edge."""
    axes = head.rotation @ BODY_TO_OPTICAL * length
    for i in np.argsort(-axes[2]):
        tip = origin + axes[:2, i]
        if i == 0:
            _draw_spread(canvas, head, tip, length)
        for colour, width in ((_DARK, stroke + 2), (_AXES[i], stroke)):
            _line(canvas, origin, tip, colour, width)
        if i == 0:  # a frontal nose has no length in the image, only a tip
            _disc(canvas, tip, 1.2 * stroke + 2, _DARK)
            _disc(canvas, tip, 1.2 * stroke + 1, _AXES[0])


def _draw_spread(canvas: Image, head: Head, tip: FloatArray, length: float) -> None:
    """The ellipse in which the tip of the nose's axis lies with one sigma, half transparent."""
    about_ray = head.ray_rotation.T @ head.covariance @ head.ray_rotation
    x, y, z = head.rotation @ BODY_TO_OPTICAL[:, 0] * length
    moves = np.array([[0.0, z, -y], [-z, 0.0, x]])  # of the tip, per small rotation: w x axis
    spread = moves @ about_ray @ moves.T
    if not np.isfinite(spread).all():
        return
    values, vectors = np.linalg.eigh(spread)
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    long, short = np.sqrt(np.maximum(values[::-1], 0.0))
    reach = int(np.ceil(long)) + 2
    x1, y1 = np.maximum(np.floor(tip).astype(int) - reach, 0)
    x2, y2 = np.ceil(tip).astype(int) + reach
    window = canvas[y1 : max(y2, 0), x1 : max(x2, 0)]
    if not window.size:
        return
    overlay = window.copy()
    scale = 1 << _SUBPIXEL_BITS
    centre = _fixed(tip - (x1, y1))
    radii = (max(1, round(float(long) * scale)), max(1, round(float(short) * scale)))
    cv2.ellipse(overlay, centre, radii, angle, 0, 360, _AXES[0], -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.addWeighted(overlay, 0.4, window, 0.6, 0.0, dst=window)


def _draw_corners(
    canvas: Image, box: FloatArray, colour: tuple[int, int, int], stroke: int
) -> None:
    """The four corners of the box: they say where it is and leave the face free."""
    reach = 0.2 * (box[2:] - box[:2])
    for ends, width in ((_DARK, stroke + 2), (colour, stroke)):
        for x, dx in ((box[0], reach[0]), (box[2], -reach[0])):
            for y, dy in ((box[1], reach[1]), (box[3], -reach[1])):
                corner = np.array([x, y])
                _line(canvas, corner, corner + np.array([dx, 0.0]), ends, width)
                _line(canvas, corner, corner + np.array([0.0, dy]), ends, width)


def _draw_label(canvas: Image, head: Head, box: FloatArray, colour: tuple[int, int, int]) -> None:
    """Id and direction above the box, or below where there is no room, kept inside the image.

    Where the line would cover the neighbours of a small face, the id has to do.
    """
    height, width = canvas.shape[:2]
    capital = float(np.clip(0.07 * (box[3] - box[1]), 8.0, max(8.0, height / 36)))
    scale, stroke = capital / _FONT_CAPITAL_PX, max(1, round(capital / 9))
    text = f"{head.face_id}  {Direction.of(head.rotation)}".lstrip()
    if _text_width(text, scale, stroke) > min(_LABEL_PER_BOX * (box[2] - box[0]), width):
        text = head.face_id
    if not text:
        return
    pad = _pad(capital)
    tall, wide = round(capital) + 2 * pad, _text_width(text, scale, stroke) + 2 * pad
    top = round(box[1]) - tall - pad
    if top < 0:
        top = min(round(box[3]) + pad, height - tall)
    left = min(round((box[0] + box[2] - wide) / 2), width - wide)
    _draw_panel(canvas, text, (max(0, left), max(0, top)), capital, colour)


def _draw_caption(canvas: Image, text: str) -> None:
    height, width = canvas.shape[:2]
    capital = max(8.0, height / 48)
    room = _text_width(text, capital / _FONT_CAPITAL_PX, 1) + 2 * _pad(capital)
    capital *= min(1.0, width / room)
    top = max(0, height - round(capital) - 2 * _pad(capital))
    _draw_panel(canvas, text, (0, top), capital, _WHITE)


def _draw_panel(
    canvas: Image,
    text: str,
    corner: tuple[int, int],
    capital: float,
    colour: tuple[int, int, int],
) -> None:
    """A line of text with capitals of so many pixels on a darkened panel."""
    left, top = corner
    scale, stroke, pad = capital / _FONT_CAPITAL_PX, max(1, round(capital / 9)), _pad(capital)
    tall, wide = round(capital) + 2 * pad, _text_width(text, scale, stroke) + 2 * pad
    panel = canvas[top : top + tall, left : left + wide]
    panel[:] = (panel * 0.35 + np.array(_DARK) * 0.65).astype(np.uint8)
    baseline = (left + pad, top + tall - pad)
    cv2.putText(canvas, text, baseline, _FONT, scale, colour, stroke, cv2.LINE_AA)


def _pad(capital: float) -> int:
    return max(2, round(0.45 * capital))


def _text_width(text: str, scale: float, stroke: int) -> int:
    return cv2.getTextSize(text, _FONT, scale, stroke)[0][0]


def _line(
    canvas: Image, start: FloatArray, end: FloatArray, colour: tuple[int, int, int], width: int
) -> None:
    cv2.line(canvas, _fixed(start), _fixed(end), colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def _disc(canvas: Image, centre: FloatArray, radius: float, colour: tuple[int, int, int]) -> None:
    fixed = round(radius * (1 << _SUBPIXEL_BITS))
    cv2.circle(canvas, _fixed(centre), fixed, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed(point: NDArray[np.float64]) -> tuple[int, int]:
    """A point in OpenCV's fixed-point pixels."""
    x, y = np.round(point * (1 << _SUBPIXEL_BITS)).astype(int)
    return int(x), int(y)
