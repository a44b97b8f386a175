# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys

import pytest

from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig
from headpose_core.pose.shipped import DEFAULT_MODEL
from training.checks.describe import file_bytes, main


def test_the_table_has_a_line_for_each_backbone_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["describe", "--backbones", "resnet18", "lite"])
    main()
    table = capsys.readouterr().out.splitlines()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]
    assert [line[0] for line in lines] == ["backbone", "---", "resnet18", "lite"]
    # 11,176,512 of the backbone, and 186 classes of 512 features: 95,418.
    assert lines[2] == ["resnet18", "64", "2 2 2 2", "11.27 M", "485 M", "22.5 MB"]
    assert lines[3] == ["lite", "32", "2 2 2 2", "2.84 M", "117 M", "5.7 MB"]


def test_the_size_of_the_file_is_that_of_the_exported_one() -> None:
    expected = DEFAULT_MODEL.stat().st_size
    assert file_bytes(HeadPoseNet(NetworkConfig("resnet18"))) == pytest.approx(expected, rel=2e-3)
