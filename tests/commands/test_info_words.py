# SPDX-License-Identifier: Apache-2.0
"""What ``headpose info`` says of a model: numbers by their meaning, with no more digits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headpose_core.commands.cli import main
from tests.tiny_models import METADATA, write_tiny_model

METRICS: list[dict[str, Any]] = [
    {"aflw2000": {"mae": {"yaw": 3.4650192236856285}, "coverage_1sigma": 0.9441}},
    {"biwi": {"n": 7, "coverage_1sigma": 0.3}, "aflw2000": {"calibrated_coverage_1sigma": 0.68}},
    {"odd": 4.0},
    {},
]


@pytest.mark.parametrize("metrics", METRICS)
@pytest.mark.parametrize("turns", [None, np.zeros((4, 10))])
def test_a_share_before_calibration_is_called_that(
    tmp_path: Path, capsys, metrics: dict[str, Any], turns: np.ndarray | None
) -> None:
    """Of the poses that the program gives, one sigma covers another share."""
    properties = replace(METADATA, metrics=metrics, turns=turns).to_properties()
    model = write_tiny_model(tmp_path / "m.onnx", properties=properties)
    assert main(["info", "--json", "--model", str(model), "--backend", "onnxruntime"]) == 0
    told = json.loads(capsys.readouterr().out)["model"]
    assert told["turns"] is (turns is not None)
    text = json.dumps(metrics).replace('"coverage', '"uncalibrated_coverage')
    assert json.dumps(told["metrics"]) == text


def test_people_get_rounded_numbers(tmp_path: Path, capsys) -> None:
    properties = replace(METADATA, metrics=METRICS[0]).to_properties()
    model = write_tiny_model(tmp_path / "m.onnx", properties=properties)
    assert main(["info", "--model", str(model), "--backend", "onnxruntime"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "uncalibrated_coverage_1sigma 0.9441" in told
    assert "yaw 3.465" in told and "3.4650" not in told
