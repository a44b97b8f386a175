# SPDX-License-Identifier: Apache-2.0
"""Peers get what their TOML says, and their outputs mean what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench
from benchmarks.peer import PeerModel
from headpose_core.errors import ModelError
from headpose_core.faces.detection import GivenBoxes
from headpose_core.images.image_view import as_view
from headpose_core.pipeline import HeadPosePipeline
from tests.benchmarks.peer_files import write_peer, write_toml
from tests.places import REPOSITORY

FSANET = REPOSITORY / "benchmarks" / "peers" / "fsanet.toml"
RED = np.full((1, 16, 16, 3), (200, 100, 40), np.uint8)


def peer(folder: Path, input: str = "size = 16", output: str = "", **options: object) -> PeerModel:
    write_peer(folder, **options)  # type: ignore[arg-type]
    return PeerModel(write_toml(folder, input=input, output=output))


def test_colours_normalisation_and_layout_are_those_of_the_file(tmp_path: Path) -> None:
    given = 'size = 16\nchannels = "BGR"\nmean = [40, 80, 100]\nstd = [1, 2, 4]'
    for layout in ("NCHW", "NHWC"):
        model = peer(tmp_path, f'{given}\nlayout = "{layout}"', layout=layout)
        # Blue comes first: (40 - 40) / 1, (100 - 80) / 2, (200 - 100) / 4.
        np.testing.assert_allclose(model.infer(RED), [[0.0, 10.0, 25.0]], atol=1e-4)


def test_order_signs_and_unit_make_the_papers_angles(tmp_path: Path) -> None:
    told = 'order = ["pitch", "yaw", "roll"]\nsigns = [-1, 1, 1]\nunit = "radians"'
    model = peer(tmp_path, output=told, scale=0.01)
    expected = np.degrees([1.0, -2.0, 0.4])  # green is the yaw, red the pitch
    np.testing.assert_allclose(model.infer(RED), expected[None], rtol=1e-5)


def test_scores_of_bins_become_their_expectation(tmp_path: Path) -> None:
    told = 'kind = "bins"\nfirst_deg = -99\nwidth_deg = 3'
    model = peer(tmp_path, output=told, bins=66, scale=0.2)
    expected = -99 + 3 * np.array([40.0, 20.0, 8.0])
    np.testing.assert_allclose(model.infer(RED), expected[None], atol=1e-3)


def test_the_crop_is_a_scaled_square_about_the_box(tmp_path: Path) -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[60:100, 100:180] = 255  # the box itself, 80 x 40
    box = np.array([[100, 60, 180, 100]], np.float32)
    for scale in (1.0, 1.3):
        model = peer(tmp_path, f"size = 64\nbox_scale = {scale}", size=64)
        share = 80 * 40 / (80 * scale) ** 2
        mean = model.infer(model.crop(as_view(image), box))[0, 0]
        assert mean == pytest.approx(255 * share, rel=0.02)


def test_files_are_averaged_and_a_fixed_batch_is_fed_one_by_one(
    tmp_path: Path,
) -> None:
    files = (
        write_peer(tmp_path, batch=1, name="one.onnx"),
        write_peer(tmp_path, batch=1, name="two.onnx", offset=10.0),
    )
    model = PeerModel(write_toml(tmp_path, files=files, input="size = 16", output=""))
    two = np.concatenate([RED, RED // 2])
    np.testing.assert_allclose(model.infer(two), [[205, 105, 45], [105, 55, 25]], atol=1e-3)
    assert model.infer(RED[:0]).shape == (0, 3)


def test_a_peer_runs_in_the_pipeline_with_an_unknown_spread(tmp_path: Path) -> None:
    model = peer(tmp_path, scale=0.1)
    image = np.full((100, 100, 3), (200, 100, 40), np.uint8)
    (head,) = HeadPosePipeline(GivenBoxes([[20, 20, 60, 70]]), model)(image, 0.0).heads
    np.testing.assert_allclose(head.paper_angles_deg, [20, 10, 4], atol=1e-4)
    assert np.isnan(head.std_deg).all() and not head.extrapolated


def test_the_example_describes_fsanet(shared_dir: Path) -> None:
    model = PeerModel(FSANET, shared_dir / "data" / "models")
    assert model.name == "FSA-Net"
    angles = model.infer(np.zeros((2, 64, 64, 3), np.uint8))
    assert angles.shape == (2, 3) and np.abs(angles).max() < 99.0


@pytest.mark.parametrize(
    ("input", "output", "complaint"),
    [
        ("size = 16\ncolour = 1", "", "colour"),
        ("", "", "size"),
        ('size = 16\nchannels = "GBR"', "", "GBR"),
        ("size = 16", 'kind = "matrix"', "matrix"),
        ("size = 16", 'order = ["yaw", "yaw", "roll"]', "order"),
        ("size = ", "", "means.toml"),
    ],
)
def test_a_description_that_is_wrong_is_refused(
    tmp_path: Path, input: str, output: str, complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint):
        peer(tmp_path, input, output)


def test_a_missing_file_is_named_with_where_it_should_be(tmp_path: Path) -> None:
    path = write_toml(tmp_path, files=("absent.onnx",), input="size = 16", output="")
    with pytest.raises(ModelError, match=r"absent\.onnx"):
        PeerModel(path)
    with pytest.raises(ModelError, match="nowhere"):
        PeerModel(path, tmp_path / "nowhere")
    with pytest.raises(ModelError, match="other"):
        PeerModel(tmp_path / "other.toml")


def test_python_310_without_tomli_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    monkeypatch.setitem(sys.modules, "tomli", None)
    with pytest.raises(ModelError, match="pip install tomli"):
        peer(tmp_path)


def test_tables_with_a_peer(tiny_model_file, shared_dir, capsys, monkeypatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    options = ["--peer", "benchmarks/peers/fsanet.toml"]
    options += ["--peer-files", str(shared_dir / "data/models"), "--backend", "onnxruntime"]
    options += ["--threads", "2"]
    assert bench.main(["--seconds", "0.2", "--model", str(tiny_model_file), *options]) == 0
    told = capsys.readouterr().out
    for network in ("tiny", "FSA-Net"):  # all with the threads that were asked for
        assert re.search(rf"^{network} +onnxruntime +fp32 +2 +8 ", told, re.MULTILINE)
    for expected in ("FSA-Net", "tiny", "GMAC/s", "1920x1080, faces: 8", "faces a second", "MB"):
        assert expected in told
