# SPDX-License-Identifier: Apache-2.0
"""What is in a folder of shards, at a glance: a contact sheet and coverage plots."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.images.crop import crop_faces, square_boxes
from headpose_core.images.image_view import as_view

ROWS, COLUMNS = 8, 16
FACES = ("angles_deg", "detected", "distance_m", "sex", "age", "glasses")
YAW_EDGES = np.array([0, 15, 30, 45, 60, 75, 93])


def write_sheet(folder: Path) -> list[Path]:
    """Write sheet.png (crops as the network sees them, by yaw) and coverage.png into ``folder``.

    Returns the files. Raises ValueError when there are no shards.
    """
    shards = sorted(folder.glob("shard-*.npz"))
    if not shards:
        raise ValueError(f"{folder}: expected shard-*.npz files, found none")
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in FACES}
    for path in shards:
        with np.load(path) as shard:
            for name in FACES:
                columns[name].append(shard[name])
    table = {name: np.concatenate(parts) for name, parts in columns.items()}
    sheet, coverage = folder / "sheet.png", folder / "coverage.png"
    cv2.imwrite(str(sheet), contact_sheet(shards[0])[..., ::-1])
    _plot(table, coverage)
    return [sheet, coverage]


def contact_sheet(path: Path) -> NDArray[np.uint8]:
    """Crops of a shard in order of yaw, frame colour by detection: (H,W,3) uint8 RGB."""
    with np.load(path) as shard:
        angles, boxes, offsets = shard["angles_deg"], shard["box"], shard["offsets"]
        jpeg, detected = shard["jpeg"], shard["detected"]
    count = min(len(angles), ROWS * COLUMNS)
    tiles = []
    for k in sorted(range(count), key=lambda i: float(angles[i, 0])):
        context = cv2.imdecode(jpeg[offsets[k] : offsets[k + 1]], cv2.IMREAD_COLOR)
        view = as_view(np.asarray(context, np.uint8))
        crop = crop_faces(view, square_boxes(boxes[k : k + 1]))[0][..., ::-1]
        tile = np.ascontiguousarray(crop)
        colour = (0, 200, 0) if detected[k] else (220, 0, 0)
        cv2.rectangle(tile, (0, 0), (tile.shape[1] - 1, tile.shape[0] - 1), colour, 1)
        label = " ".join(f"{a:.0f}" for a in angles[k])
        cv2.putText(tile, label, (3, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 0), 1)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def _plot(table: dict[str, NDArray[Any]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    angles, detected = table["angles_deg"], table["detected"]
    figure = Figure(figsize=(13, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3).ravel()
    for axis, name, values in zip(axes[:3], ("yaw", "pitch", "roll"), angles.T, strict=True):
        axis.hist(values, bins=np.arange(-93, 94, 6))
        axis.set(title=name, xlabel="degrees", ylabel="images")
    axes[3].hist2d(angles[:, 0], angles[:, 1], bins=31, range=((-93, 93), (-93, 93)))
    axes[3].set(title="yaw and pitch", xlabel="yaw", ylabel="pitch")
    yaw_bin = np.digitize(np.abs(angles[:, 0]), YAW_EDGES[1:-1])
    found = [detected[yaw_bin == k] for k in range(len(YAW_EDGES) - 1)]
    rates = [part.mean() if len(part) else 0.0 for part in found]
    axes[4].bar([f"{a}-{b}" for a, b in pairwise(YAW_EDGES)], rates)
    axes[4].set(title="found by the detector", xlabel="abs yaw", ylim=(0, 1))
    axes[5].hist(np.log10(table["distance_m"]), bins=30)
    axes[5].set(title="camera distance", xlabel="log10 metres")
    people = ", ".join(
        f"{(table[key] == value).mean():.0%} {value}"
        for key, value in (("sex", "female"), ("age", "child"), ("age", "old"))
    )
    glasses = f"{table['glasses'].mean():.0%} with glasses"
    figure.suptitle(f"{len(angles)} images: {people}, {glasses}, {detected.mean():.0%} detected")
    figure.savefig(path, dpi=80)
