# SPDX-License-Identifier: Apache-2.0
"""Pictures of an evaluation: predictions on faces, the worst ones, and errors against angles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.geometry.rotation import BODY_TO_OPTICAL, matrix_from_angles
from headpose_core.images.crop import crop_faces, square_boxes
from headpose_core.images.image_files import write_image
from headpose_core.images.image_view import as_view
from headpose_core.learning.data.datasets import FaceReader, LabelledFace
from headpose_core.learning.data.skipped_faces import LARGEST_ANGLE_DEG
from headpose_core.types import FloatArray, Image
from training.evaluation.measure import Predictions
from training.evaluation.metrics import ANGLES

TILE = 168
COLUMNS = 8
BIN_DEG = 15.0
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


def draw_worst(path: Path, faces: FaceReader, seen: Predictions, count: int = 40) -> None:
    """The faces with the largest mean error, worst first, as the network sees them."""
    errors = np.nanmean(np.abs(seen.mean_deg - seen.labels), axis=1)
    worst = np.argsort(-errors)[:count]
    write_image(path, contact_sheet([_tile(faces[int(i)], seen, int(i)) for i in worst]))


def draw_predictions(path: Path, faces: FaceReader, seen: Predictions, count: int = 24) -> None:
    """Faces from the leftmost to the rightmost yaw, evenly (after the paper's Figures 5 and 6)."""
    order = np.argsort(seen.labels[:, 0], kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, count).round().astype(int))]
    tiles = [_tile(faces[int(i)], seen, int(i), scale=1.5) for i in chosen]
    write_image(path, contact_sheet(tiles))


def draw_scatter(path: Path, seen: Predictions) -> None:
    """Predicted against labelled angles."""
    pyplot = _pyplot()
    reach = (-LARGEST_ANGLE_DEG, LARGEST_ANGLE_DEG)
    figure, plots = pyplot.subplots(1, 3, figsize=(13.5, 4.5), layout="constrained")
    for index, (plot, name) in enumerate(zip(plots, ANGLES, strict=True)):
        plot.plot(reach, reach, color="0.7", linewidth=1)
        plot.scatter(seen.labels[:, index], seen.mean_deg[:, index], s=4, alpha=0.5)
        plot.set(xlabel=f"labelled {name} [deg]", ylabel=f"predicted {name} [deg]")
        plot.set(xlim=reach, ylim=reach, aspect="equal")
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def draw_error_against_angle(path: Path, models: Mapping[str, Predictions]) -> None:
    """Mean absolute error of each angle over that angle's label (after the paper's Figure 4)."""
    pyplot = _pyplot()
    figure, plots = pyplot.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    for index, (plot, name) in enumerate(zip(plots, ANGLES, strict=True)):
        for model, seen in models.items():
            labels = seen.labels[:, index]
            errors = np.abs(seen.mean_deg[:, index] - labels)
            centres, means = _binned(labels, errors)
            plot.plot(centres, means, marker="o", markersize=3, label=model)
        labels = labels[np.isfinite(labels)]
        faces = plot.twinx()
        faces.hist(labels, bins=np.arange(-105, 106, BIN_DEG), color="0.9")
        faces.set_yticks([])
        plot.set_zorder(faces.get_zorder() + 1)
        plot.set_frame_on(False)
        plot.set(xlabel=f"labelled {name} [deg]", ylabel=f"mean absolute error of {name} [deg]")
        plot.set(xlim=(-105, 105), ylim=(0, None))
    plots[0].legend(loc="upper center")
    figure.suptitle("Error against angle; grey: how many faces", fontsize=10)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def labelled_tile(crop: Image, label_deg: FloatArray, text: str) -> Image:
    """A crop, (S, S, 3), as a tile of a contact sheet with its label's axes in thin white."""
    tile = np.array(cv2.resize(crop, (TILE, TILE), interpolation=cv2.INTER_CUBIC), np.uint8)
    _draw_axes(tile, label_deg, ((255, 255, 255),) * 3, 1)
    _write(tile, 14, text)
    return tile


def _tile(face: LabelledFace, seen: Predictions, index: int, scale: float = 1.0) -> Image:
    """One face: its label in thin white axes, the prediction in colour."""
    box = seen.boxes[index].astype(np.float64)
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * scale
    square = square_boxes(np.hstack([centre - half, centre + half]))
    label = np.nan_to_num(seen.labels[index])
    crop = crop_faces(as_view(face.image), square)[0]
    tile = labelled_tile(crop, label, "label " + _angles(label))
    _draw_axes(tile, seen.mean_deg[index], _AXES, 2)
    _write(tile, TILE - 6, "is    " + _angles(seen.mean_deg[index]))
    if seen.missed[index]:
        _write(tile, 30, "missed")
    return tile


def _binned(at: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centres of the bins that hold something, and the means in them."""
    known = np.isfinite(at) & np.isfinite(values)
    bins = np.floor(at[known] / BIN_DEG)
    filled = np.unique(bins)
    means = np.array([values[known][bins == number].mean() for number in filled])
    return (filled + 0.5) * BIN_DEG, means


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _draw_axes(
    tile: Image, angles_deg: FloatArray, colours: Sequence[tuple[int, int, int]], width: int
) -> None:
    tips = (matrix_from_angles(angles_deg) @ BODY_TO_OPTICAL)[:2].T * TILE * 0.38 + TILE / 2
    for tip, colour in zip(tips, colours, strict=True):
        end = (round(float(tip[0])), round(float(tip[1])))
        for ink, stroke in (((0, 0, 0), width + 1), (colour, width)):
            cv2.line(tile, (TILE // 2, TILE // 2), end, ink, stroke, cv2.LINE_AA)


def _angles(angles_deg: NDArray[np.float64]) -> str:
    return " ".join(f"{angle:+.0f}" for angle in angles_deg)


def _write(tile: Image, y: int, text: str) -> None:
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, text, (4, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, width, cv2.LINE_AA)
