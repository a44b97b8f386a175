# SPDX-License-Identifier: Apache-2.0
"""The numbers of an evaluation as Markdown tables, the paper's beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# What Thai et al. (ICPRAM 2022) print for AFLW2000, trained on 300W-LPA: yaw, pitch, roll, mean.
PAPER: dict[str, dict[str, tuple[str | None, ...]]] = {
    "aflw2000": {
        "EHPNet, the paper's Table 1": ("3.23", "5.54", "3.88", "4.15"),
        "EHPNet, the paper's Table 2": ("3.23", "5.345", "3.88", "4.15"),
        "ResNet18 without distillation, the paper": (None, None, None, "4.56"),
    },
    "biwi": {"EHPNet, the paper": ("3.68", "4.03", "2.57", "3.43")},
}
PAPER_NOTE = (
    "The paper prints two pitch errors for the same model: only that of Table 2 averages to its "
    "4.15. Its models were trained on 300W-LPA and measured on all of AFLW2000."
)


def markdown(results: Mapping[str, Any]) -> str:
    """The file beside results.json: one table a question."""
    models: dict[str, dict[str, Any]] = results["models"]
    parts = [
        f"# Evaluation on {results['dataset']}",
        f"{results['faces']} faces. {results['boxes_rule']}\n"
        + "".join(f"- left out: {count} ({why})\n" for why, count in results["left_out"].items()),
        "## Mean absolute error [deg]",
        _errors(models, PAPER.get(results["dataset"], {})),
        PAPER_NOTE if results["dataset"] == "aflw2000" else "",
        "## By absolute yaw [deg]",
        _by_yaw(models),
        "## Bias and consistency [deg]",
        _consistency(models),
        "## Uncertainty",
        _uncertainty(models),
        "Calibrated: with temperatures fitted to every second face (person, video), measured on "
        "the others; above it with those of the model file.",
    ]
    if results["differences"]:
        parts += ["## Differences", _differences(results["differences"])]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def summary(models: Mapping[str, dict[str, Any]]) -> str:
    """The main numbers, one model a line, for the terminal."""
    rows = []
    for name, numbers in models.items():
        mae = numbers["mae"]
        cells = [mae["yaw"], mae["pitch"], mae["roll"], mae["mean"], *numbers["by_yaw"].values()]
        cells += [numbers["geodesic"], *numbers["bias"].values(), numbers["mirror"]]
        rows.append([name, *cells, numbers["coverage_1sigma"], numbers["n"], numbers["missed"]])
    head = "model yaw pitch roll MAE 0-30 30-60 60-99 geodesic bias_yaw pitch roll mirror 1sigma"
    return table([*head.split(), "n", "missed"], rows)


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table; numbers with two digits, a dash for what is not known."""
    lines = [list(head)]
    lines += [[_text(cell) for cell in row] for row in rows]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(cell: Any) -> str:
    if cell is None:
        return "-"
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)


def _errors(
    models: Mapping[str, dict[str, Any]], paper: Mapping[str, tuple[str | None, ...]]
) -> str:
    rows: list[list[Any]] = [[name, *cells, None, None] for name, cells in paper.items()]
    for name, numbers in models.items():
        rows.append([name, *numbers["mae"].values(), numbers["geodesic"], numbers["missed"]])
    return table(["model", "yaw", "pitch", "roll", "MAE", "geodesic", "missed"], rows)


def _by_yaw(models: Mapping[str, dict[str, Any]]) -> str:
    some = next(iter(models.values()))
    bins = [f"{name} ({some['n_by_yaw'][name]} faces)" for name in some["by_yaw"]]
    rows = [
        [name, *numbers["by_yaw"].values(), *numbers["geodesic_by_yaw"].values()]
        for name, numbers in models.items()
    ]
    return table(["model", *bins, *(f"geodesic {name}" for name in some["by_yaw"])], rows)


def _consistency(models: Mapping[str, dict[str, Any]]) -> str:
    rows = []
    for name, numbers in models.items():
        moved = numbers["moved_boxes"] or {"shift": None, "scale": None, "mae": {}}
        worst = max(moved["mae"].values(), default=None)
        cells = [*numbers["bias"].values(), numbers["mirror"], moved["shift"], moved["scale"]]
        rows.append([name, *cells, worst])
    head = ["model", "bias yaw", "pitch", "roll", "mirrored image", "box shifted 10 %"]
    return table([*head, "box scaled 10 %", "worst MAE of these"], rows)


def _uncertainty(models: Mapping[str, dict[str, Any]]) -> str:
    rows = []
    for name, numbers in models.items():
        after = numbers["calibrated"] or {}
        temperature = " ".join(f"{value:.2f}" for value in after.get("temperature", ())) or None
        for label, of in ((name, numbers), (f"{name}, calibrated", after)):
            if of:
                cells = [of["nll"], of["coverage_1sigma"], of["coverage_2sigma"]]
                spread = of["sharpness"].values()
                rows.append([label, *cells, *spread, temperature if of is after else None])
    head = ["model", "NLL [nat]", "in 1 sigma (0.68)", "in 2 sigma (0.95)"]
    head += [f"mean sigma {angle} [deg]" for angle in ("yaw", "pitch", "roll")]
    return table([*head, "temperature"], rows)


def _differences(differences: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        [f"{d['second']} - {d['first']}", d["mae"], *d["interval_95"]]
        for d in differences
    ]  # fmt: skip
    return table(["models", "MAE [deg]", "95 % from", "to"], rows)
