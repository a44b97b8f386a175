# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headpose_core.pose.head_pose_model import HeadPoseModel
from tests.learning.drawn_faces import draw_face, write_shard
from tests.tiny_models import write_tiny_model
from training.checks.bad_pictures import WORSE, main, measure


def test_numbers_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    """The tiny model says -91.5 + 183 b / 255 degrees for a mean red, green, blue b, with spreads
    of 3 degrees times the square root of 1, 1.5 and 2."""
    model = HeadPoseModel.load(write_tiny_model(tmp_path / "tiny.onnx"), device="cpu")
    greys = np.array([[100, 120, 140], [110, 130, 150]] * 10, np.uint8)  # more than a batch
    crops = np.broadcast_to(greys[:, None, None], (20, 112, 112, 3))
    errors = np.array([[1.0, -2.0, 3.0], [-5.0, 4.0, 6.0]] * 10)
    labels = (-91.5 + 183 / 255 * greys - errors).astype(np.float32)
    mae, sigma, within, nll = measure(model, np.ascontiguousarray(crops), labels)
    sigmas = 3.0 * np.sqrt([1.0, 1.5, 2.0])
    assert mae == pytest.approx(3.5, abs=1e-3)
    assert sigma == pytest.approx(sigmas.mean(), rel=1e-3)
    assert within == pytest.approx(3 / 6)
    expected = np.log(sigmas * np.sqrt(2 * np.pi)) + 0.5 * (errors / sigmas) ** 2
    assert nll == pytest.approx(expected.mean(), rel=1e-3)


def test_each_way_is_worse_and_leaves_the_crop_alone() -> None:
    crop = draw_face(np.array([20.0, 5.0, -10.0]))[20:132, 20:132]
    kept = crop.copy()
    for name, worse in WORSE.items():
        bad = worse(crop)
        assert (bad.shape, bad.dtype) == (crop.shape, np.uint8)
        change = np.abs(bad.astype(float) - crop).mean()
        assert (change == 0) if name == "as they are" else (change > 0.5)
    assert (crop == kept).all()


def test_the_command_prints_a_line_for_each_model_and_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_tiny_model(tmp_path / "tiny.onnx")
    write_shard(tmp_path / "faces", 0, 200)
    words = ["--dataset", "rendered", "--root", str(tmp_path / "faces"), "--model"]
    assert main([*words, str(model)]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == list(WORSE)
    assert len({line.split(" | ")[2] for line in lines}) > 2  # the tiny model reads brightness
    assert main([*words, "nosuch"]) == 2
    assert "nosuch: expected the path of an .onnx file" in capsys.readouterr().err
