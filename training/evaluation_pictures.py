# SPDX-License-Identifier: Apache-2.0
"""Pictures of an evaluation: the worst faces, and errors against angles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.image import write_image
from headpose_core.learning.augment import plain_view
from headpose_core.learning.datasets import FaceReader
from headpose_core.rotation import BODY_TO_OPTICAL, matrix_from_angles
from headpose_core.types import FloatArray, Image

if TYPE_CHECKING:
    from training.evaluate import Predictions

TILE = 168
COLUMNS = 8
_AXES = ((235, 50, 45), (55, 200, 70), (60, 120, 255))


def contact_sheet(tiles: Sequence[Image], columns: int = COLUMNS) -> Image:
    """Pictures of one size in rows of `columns`; black where the last row ends early."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for number, tile in enumerate(tiles):
        y, x = number // columns * height, number % columns * width
        sheet[y : y + height, x : x + width] = tile
    return sheet


def draw_worst(path: Path, faces: FaceReader, predictions: Predictions, count: int = 40) -> None:
    """The crops with the largest mean error: label in thin white axes, prediction in colour."""
    errors = np.nanmean(np.abs(predictions.mean_deg - predictions.labels), axis=1)
    tiles = []
    for index in np.argsort(-errors)[:count]:
        crop = plain_view(faces[int(index)].image, predictions.boxes[index])
        label = np.nan_to_num(predictions.labels[index])
        tile = labelled_tile(crop, label, "label " + _angles(label))
        _draw_axes(tile, predictions.mean_deg[index], _AXES, 2)
        _write(tile, TILE - 6, "is    " + _angles(predictions.mean_deg[index]))
        if predictions.missed[index]:
            _write(tile, 30, "missed")
        tiles.append(tile)
    write_image(path, contact_sheet(tiles))


def draw_errors(path: Path, predictions: Predictions) -> None:
    """Predicted against labelled angles, and the error over |yaw| (after the paper's Fig. 4)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    errors = np.abs(predictions.mean_deg - predictions.labels)
    figure, axes = pyplot.subplots(1, 4, figsize=(18, 4.5), layout="constrained")
    for index, name in enumerate(("yaw", "pitch", "roll")):
        plot = axes[index]
        plot.plot([-99, 99], [-99, 99], color="0.7", linewidth=1)
        plot.scatter(predictions.labels[:, index], predictions.mean_deg[:, index], s=4, alpha=0.5)
        plot.set(xlabel=f"labelled {name} [deg]", ylabel=f"predicted {name} [deg]")
        plot.set(xlim=(-99, 99), ylim=(-99, 99), aspect="equal")
        centres, means = _binned(np.abs(predictions.labels[:, 0]), errors[:, index])
        axes[3].plot(centres, means, marker="o", markersize=3, label=name)
    axes[3].set(xlabel="labelled |yaw| [deg]", ylabel="mean absolute error [deg]", ylim=(0, None))
    axes[3].legend()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def labelled_tile(crop: Image, label_deg: FloatArray, text: str) -> Image:
    """A crop, (S, S, 3), as a tile of a contact sheet with its label's axes in thin white."""
    tile = np.array(cv2.resize(crop, (TILE, TILE), interpolation=cv2.INTER_CUBIC), np.uint8)
    _draw_axes(tile, label_deg, ((255, 255, 255),) * 3, 1)
    _write(tile, 14, text)
    return tile


def _binned(at: FloatArray, values: FloatArray, width: float = 10.0) -> tuple[FloatArray, ...]:
    """Centres of the bins that hold something, and the means in them."""
    bins = np.floor(at / width)
    filled = np.array([b for b in np.unique(bins) if np.isfinite(values[bins == b]).any()])
    means = np.array([np.nanmean(values[bins == b]) for b in filled])
    return (filled + 0.5) * width, means


def _draw_axes(
    tile: Image, angles_deg: FloatArray, colours: Sequence[tuple[int, int, int]], width: int
) -> None:
    tips = (matrix_from_angles(angles_deg) @ BODY_TO_OPTICAL)[:2].T * TILE * 0.38 + TILE / 2
    for tip, colour in zip(tips, colours, strict=True):
        end = (round(float(tip[0])), round(float(tip[1])))
        cv2.line(tile, (TILE // 2, TILE // 2), end, colour, width, cv2.LINE_AA)


def _angles(angles_deg: NDArray[np.float64]) -> str:
    return " ".join(f"{angle:+.0f}" for angle in angles_deg)


def _write(tile: Image, y: int, text: str) -> None:
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, text, (4, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, width, cv2.LINE_AA)
