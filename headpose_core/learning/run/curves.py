# SPDX-License-Identifier: Apache-2.0
"""The curves of a training run as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headpose_core.output_files import atomic_write


def draw_curves(metrics: Path, out: Path) -> None:
    """Draw loss, errors and learning rate of a `metrics.jsonl` against the views (PNG).

    Does nothing for a run that has not ended an epoch.
    """
    from matplotlib.figure import Figure

    records: list[dict[str, Any]] = [json.loads(line) for line in metrics.read_text().splitlines()]
    if not records:
        return
    views = [record["views"] / 1000 for record in records]
    figure = Figure(figsize=(9, 7), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(2, 3, 1))
    top.plot(views, [record["loss"] for record in records], marker=".")
    top.set_ylabel("training loss")
    middle.plot(views, [record["mae"] for record in records], color="grey", label="training views")
    held = [record for record in records if record["holdout"]]
    held_views = [record["views"] / 1000 for record in held]
    for name, width in (("yaw", 1), ("pitch", 1), ("roll", 1), ("mean", 2.5)):
        values = [record["holdout"][name] for record in held]
        label = f"hold-out, {name}"
        middle.plot(held_views, values, marker=".", linewidth=width, label=label)
    middle.set_ylabel("mean absolute error [deg]")
    middle.set_ylim(bottom=0)
    middle.legend()
    bottom.plot(views, [record["lr"] for record in records], marker=".")
    bottom.set_ylabel("learning rate")
    bottom.set_xlabel("views [thousands]")
    for axes in (top, middle, bottom):
        axes.grid(alpha=0.3)
    with atomic_write(out) as unfinished:
        figure.savefig(unfinished, dpi=100)
