# SPDX-License-Identifier: Apache-2.0
"""What a training run says about itself: a bar, a line an epoch, numbers and curves."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headpose_core.images.crop import Fit
from headpose_core.learning.data.datasets import FaceReader, plain_views
from headpose_core.learning.run.checkpoint import write_text
from headpose_core.learning.run.curves import draw_curves
from headpose_core.learning.run.losses import expectation_deg
from headpose_core.pose.networks.network import HeadPoseNet

# Drawing takes a good part of a second, and short epochs are many.
_REDRAW_S = 60.0


class EpochSums:
    """Means of losses over the views of an epoch, and where its time went."""

    def __init__(self) -> None:
        self.views = 0
        self.waited_s = 0.0
        self.stepped_s = 0.0
        self._sums: dict[str, float] = defaultdict(float)

    def add(self, parts: dict[str, float], views: int) -> None:
        """Add the means of a batch."""
        self.views += views
        for name, value in parts.items():
            self._sums[name] += value * views

    def record(self) -> dict[str, float]:
        """Means, speed and the share of the time that preparing views took."""
        seconds = max(self.waited_s + self.stepped_s, 1e-9)
        return {
            **{name: value / max(self.views, 1) for name, value in self._sums.items()},
            "views_per_s": self.views / seconds,
            "data_share": self.waited_s / seconds,
        }


def measure_holdout(
    network: HeadPoseNet,
    faces: FaceReader,
    indices: NDArray[np.int64],
    crop_size: int,
    fit: Fit = "pad",
) -> dict[str, float]:
    """Mean absolute errors in degrees on some faces, cropped as at run time.

    Leaves the network in evaluation mode. Empty without faces.
    """
    if not len(indices):
        return {}
    device = next(network.parameters()).device
    network.eval()
    errors = []
    with torch.inference_mode():
        for chosen in np.array_split(indices, -(-len(indices) // 128)):
            crops, labels = plain_views(faces, chosen, crop_size, fit)
            logits = network(torch.from_numpy(crops).to(device)).cpu()
            errors.append((expectation_deg(logits) - torch.from_numpy(labels)).abs())
    mae = torch.cat(errors).mean(dim=0)
    named = dict(zip(("yaw", "pitch", "roll"), mae.tolist(), strict=True))
    return {**named, "mean": float(mae.mean()), "faces": len(indices)}


def progress_text(parts: dict[str, float], holdout_mae: float, left_s: float) -> str:
    """What stands behind the progress bar."""
    held = "" if math.isnan(holdout_mae) else f"hold-out {holdout_mae:.2f}, "
    return f"loss {parts['loss']:.3f}, MAE {parts['mae']:.2f}, {held}{left_s / 60:.0f} min left"


def summary_line(record: dict[str, Any]) -> str:
    """An epoch's record for the person who waits."""
    held = f"hold-out {record['holdout']['mean']:.2f}, " if record["holdout"] else ""
    return (
        f"epoch {record['epoch']}: {record['views']} views at {record['crop_size']} px of "
        f"{record['faces']} faces, loss {record['loss']:.3f}, MAE {record['mae']:.2f}, {held}"
        f"{record['views_per_s']:.0f} views/s (data {record['data_share']:.0%}), "
        f"{record['left_s'] / 60:.0f} min left"
    )


class Journal:
    """What a run leaves to look at: `metrics.jsonl`, `curves.png`, and TensorBoard's events.

    `metrics.jsonl` has one JSON object a line, each with the `views` seen by then. Events are
    written to the directory `tensorboard` where that package is installed.
    """

    def __init__(self, folder: Path, views: int) -> None:
        """Drop what a killed run wrote after the checkpoint at `views`, to say it once."""
        self._metrics, self._curves = folder / "metrics.jsonl", folder / "curves.png"
        text = self._metrics.read_text() if self._metrics.exists() else ""
        lines = [line for line in text.splitlines() if _views(line) <= views]
        write_text(self._metrics, "".join(line + "\n" for line in lines))
        self._events = open_events(folder / "tensorboard", views)
        self._drawn_s = time.monotonic()

    def append(self, record: dict[str, Any]) -> None:
        """Add a record."""
        with self._metrics.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if self._events:
            for name, value in flat_numbers(record).items():
                self._events.add_scalar(name, value, record["views"])
        if time.monotonic() - self._drawn_s > _REDRAW_S:
            draw_curves(self._metrics, self._curves)
            self._drawn_s = time.monotonic()

    def close(self) -> None:
        """Draw the curves and end the event file."""
        draw_curves(self._metrics, self._curves)
        if self._events:
            self._events.close()


def open_events(folder: Path, views: int) -> Any:
    """TensorBoard's writer, which goes on after `views`; None where it is not installed."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder, purge_step=views + 1)


def flat_numbers(record: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a record, by names like `holdout/yaw`."""
    flat: dict[str, float] = {}
    for name, value in record.items():
        flat |= (
            flat_numbers(value, f"{prefix}{name}/")
            if isinstance(value, dict)
            else {prefix + name: float(value)}
        )
    return flat


def _views(line: str) -> float:
    """Views of a line; infinite for a line that a kill cut short."""
    try:
        return float(json.loads(line)["views"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
