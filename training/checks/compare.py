# SPDX-License-Identifier: Apache-2.0
"""Mean and spread over seeds of what `training.evaluate` measured.

    python -m training.checks.compare --results A/results.json B/results.json --out ablation.md

Models called `hard-0`, `hard-1`, ... are one group, `hard`, trained with different seeds. Each
group is also compared with the first one, seed by seed. Writes a Markdown table for each data set,
and the same numbers as JSON beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import tyro

from headpose_core.learning.run.checkpoint import write_text

COLUMNS = ("yaw", "pitch", "roll", "mean")


@dataclass(frozen=True)
class CompareConfig:
    """What to compare."""

    results: tuple[Path, ...]
    """results.json of `training.evaluate`, one for each data set."""
    out: Path
    """Markdown file to write; the JSON file gets the same name."""
    note: str = ""
    """A line above the tables: what was trained, and how."""


def groups_of(names: list[str]) -> dict[str, dict[str, str]]:
    """Names of models by group and seed: what stands before and behind the last hyphen.

    A name without a number at its end is a group of its own.
    """
    groups: dict[str, dict[str, str]] = {}
    for name in names:
        group, _, seed = name.rpartition("-")
        if not (group and seed.isdigit()):
            group, seed = name, ""
        groups.setdefault(group, {})[seed] = name
    return groups


def mean_and_spread(values: list[float]) -> dict[str, float | None]:
    """Mean and sample standard deviation; the latter needs two values."""
    return {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else None}


def compare(results: dict[str, Any]) -> dict[str, Any]:
    """The groups of one results.json: errors over the seeds, differences from the first group."""
    models, groups = results["models"], groups_of(list(results["models"]))
    first = next(iter(groups.values()))
    compared: dict[str, Any] = {}
    for group, seeds in groups.items():
        errors = {seed: models[name]["mae"] for seed, name in seeds.items()}
        shared = [seed for seed in seeds if seed in first]
        apart = [errors[seed]["mean"] - models[first[seed]]["mae"]["mean"] for seed in shared]
        compared[group] = {
            "seeds": {seed: error["mean"] for seed, error in errors.items()},
            "mae": {
                column: mean_and_spread([error[column] for error in errors.values()])
                for column in COLUMNS
                if all(error[column] is not None for error in errors.values())
            },
            "from_first": mean_and_spread(apart) if apart and seeds is not first else None,
        }
    return {"dataset": results["dataset"], "faces": results["faces"], "groups": compared}


def markdown(comparison: dict[str, Any]) -> str:
    """A table of one data set, a row for each group."""
    first = next(iter(comparison["groups"]))
    lines = [
        f"### {comparison['dataset']}, {comparison['faces']} faces",
        "",
        f"| | runs | yaw | pitch | roll | MAE | each run | less {first}, seed by seed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for group, numbers in comparison["groups"].items():
        cells = [_text(numbers["mae"].get(column)) for column in COLUMNS]
        each = ", ".join(f"{error:.2f}" for error in numbers["seeds"].values())
        apart = _text(numbers["from_first"], sign="+")
        lines.append(
            f"| {group} | {len(numbers['seeds'])} | {' | '.join(cells)} | {each} | {apart} |"
        )
    return "\n".join(lines)


def _text(value: dict[str, float | None] | None, sign: str = "") -> str:
    """Mean and spread for a cell."""
    if value is None:
        return "-"
    spread = "" if value["std"] is None else f" ± {value['std']:.2f}"
    return f"{value['mean']:{sign}.2f}{spread}"


def main() -> None:
    """Command line."""
    config = tyro.cli(CompareConfig, description=__doc__)
    comparisons = [compare(json.loads(path.read_text())) for path in config.results]
    parts = ["Mean absolute error in degrees, mean ± standard deviation over the runs."]
    parts = [*([config.note] if config.note else []), *parts, *map(markdown, comparisons)]
    text = "\n\n".join(parts) + "\n"
    config.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(config.out, text)
    write_text(config.out.with_suffix(".json"), json.dumps(comparisons, indent=2) + "\n")
    print(text)


if __name__ == "__main__":
    main()
