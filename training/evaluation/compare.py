# SPDX-License-Identifier: Apache-2.0
"""Models against each other, and what can be fitted to labels for the next export or training."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from training.evaluation.measure import Predictions, has_logits
from training.evaluation.metrics import (
    accuracy,
    fit_temperature,
    fit_zero_pose,
    paired_bootstrap,
    second_half,
    turn_predictions,
)


def differences(seen: dict[str, Predictions]) -> list[dict[str, Any]]:
    """Every two models, with the paired bootstrap interval of their difference."""
    found = []
    for first, second in combinations(seen, 2):
        one, other = seen[first], seen[second]
        mae, low, high = paired_bootstrap(one.mean_deg, other.mean_deg, one.labels, one.groups)
        found.append({"first": first, "second": second, "mae": mae, "interval_95": [low, high]})
    return found


def add_temperatures(models: dict[str, dict[str, Any]], seen: dict[str, Predictions]) -> None:
    """Fit the temperatures to all faces, print them and put them beside the numbers."""
    for name, predictions in seen.items():
        if has_logits(predictions):
            fitted = fit_temperature(predictions.outputs, predictions.labels)
            models[name]["temperature"] = [round(float(value), 3) for value in fitted]
            print(f"{name}: --temperature", *models[name]["temperature"])


def print_zero_poses(seen: dict[str, Predictions]) -> None:
    """Fit the constant rotation on every second group, and say what it does to the others."""
    for name, predictions in seen.items():
        mean, labels = predictions.mean_deg, predictions.labels
        zero = [round(float(angle), 2) for angle in fit_zero_pose(mean, labels)]
        print(f"{name}: --zero-pose-deg", *zero)
        held = second_half(predictions.groups)
        if held.any():
            checked = fit_zero_pose(mean[~held], labels[~held])
            before = accuracy(mean[held], labels[held])["mae"]["mean"]
            after = accuracy(turn_predictions(mean[held], checked), labels[held])["mae"]["mean"]
            print(f"  fitted on one half of them: {before:.2f} to {after:.2f} on the other half")
