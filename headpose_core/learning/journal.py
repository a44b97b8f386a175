# SPDX-License-Identifier: Apache-2.0
"""What a training run says about itself: a line a person reads and `metrics.jsonl`."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headpose_core.learning.checkpoint import write_text
from headpose_core.learning.datasets import FaceReader, plain_views
from headpose_core.learning.losses import expectation_deg
from headpose_core.learning.network import HeadPoseNet


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
    network: HeadPoseNet, faces: FaceReader, indices: NDArray[np.int64], crop_size: int
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
            crops, labels = plain_views(faces, chosen, crop_size)
            logits = network(torch.from_numpy(crops).to(device)).cpu()
            errors.append((expectation_deg(logits) - torch.from_numpy(labels)).abs())
    mae = torch.cat(errors).mean(dim=0)
    named = dict(zip(("yaw", "pitch", "roll"), mae.tolist(), strict=True))
    return {**named, "mean": float(mae.mean()), "faces": len(indices)}


def summary_line(record: dict[str, Any]) -> str:
    """An epoch's record for the person who waits."""
    held = f"hold-out {record['holdout']['mean']:.2f}, " if record["holdout"] else ""
    return (
        f"epoch {record['epoch']}: {record['views']} views at {record['crop_size']} px of "
        f"{record['faces']} faces, loss {record['loss']:.3f}, MAE {record['mae']:.2f}, {held}"
        f"{record['views_per_s']:.0f} views/s (data {record['data_share']:.0%}), "
        f"{record['left_s'] / 60:.0f} min left"
    )


class MetricsLog:
    """`metrics.jsonl`: one JSON object a line, each with the `views` seen by then."""

    def __init__(self, path: Path, views: int) -> None:
        """Drop what a killed run wrote after the checkpoint at `views`, to say it once."""
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        write_text(path, "".join(line + "\n" for line in lines if _views(line) <= views))

    def append(self, record: dict[str, Any]) -> None:
        """Add a line."""
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\n")


def _views(line: str) -> float:
    """Views of a line; infinite for a line that a kill cut short."""
    try:
        return float(json.loads(line)["views"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
