# SPDX-License-Identifier: Apache-2.0
"""Settings of a run against those of a saved one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headpose_core.learning.run.config import TrainConfig, changed_settings, to_json


def test_a_setting_newer_than_the_run_had_its_default_in_it(tmp_path: Path) -> None:
    config = TrainConfig(data=(str(tmp_path),), out=tmp_path / "run")
    saved = {name: value for name, value in to_json(config).items() if name != "zero_pose_deg"}
    assert changed_settings(saved, config) == []
    assert changed_settings(saved, replace(config, zero_pose_deg=(0.0, 1.0, 0.0))) == [
        "zero_pose_deg"
    ]
