# SPDX-License-Identifier: Apache-2.0
"""The commands that look through data and pack it, on a photo in the public domain."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from headpose_core.images.image_files import write_image
from headpose_core.learning.data.datasets import plain_views
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.pose.networks.network import NetworkConfig
from headpose_core.types import Image
from tests.learning.drawn_faces import write_shard
from training.checks import check_data, pack
from training.checks.loader_speed import SpeedConfig, measure, summary

EYE_TO_EYE = np.array([[175.0, 70.0, 275.0, 190.0]])


@pytest.fixture
def table(tmp_path: Path, astronaut: Image) -> Path:
    """The same face in pictures of three sizes, two groups, and a line without a picture."""
    lines = ["path,x1,y1,x2,y2,yaw,pitch,roll,group"]
    for number, step in enumerate((1, 2, 4)):
        write_image(tmp_path / f"{number}.png", np.ascontiguousarray(astronaut[:300:step, ::step]))
        box = ",".join(f"{value / step:g}" for value in EYE_TO_EYE[0])
        lines.append(f"{number}.png,{box},{10 * number},-5,2,{'ab'[number // 2]}")
    lines.append(f"9.png,{box},0,0,0,a")
    path = tmp_path / "faces.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(command: object, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """A command's main with these arguments."""
    monkeypatch.setattr(sys, "argv", ["command", *arguments])
    return command.main()  # type: ignore[attr-defined]


def test_a_data_set_is_described_and_what_is_broken_is_listed(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = table.parent / "report.csv"
    assert run(check_data, f"csv:{table}", "--out", str(out), monkeypatch=monkeypatch) == 1
    said = capsys.readouterr().out
    assert "3 faces in 2 groups" in said
    assert "yaw     +0.0 to  +20.0, median +10.0" in said
    assert "broken: no such picture: 1" in said and f"{table}, line 5: no such picture" in said
    rows = list(csv.reader(out.open()))
    assert rows == [["where", "reason", "broken"], [f"{table}, line 5", "no such picture", "1"]]
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    assert run(check_data, f"csv:{table}", monkeypatch=monkeypatch) == 0
    assert run(check_data, "csv:nowhere.csv", monkeypatch=monkeypatch) == 2
    assert "nowhere.csv" in capsys.readouterr().err


def test_packed_faces_are_those_of_the_data_set(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pack, "--data", f"csv:{table}", "--out", str(tmp_path / "p"), monkeypatch=monkeypatch)
    plain, packed = FacePool([f"csv:{table}"]), FacePool([f"packed:{tmp_path / 'p'}"])
    assert plain.rescan() == packed.rescan() == 3
    np.testing.assert_allclose(packed.angles_deg, plain.angles_deg)
    assert packed.groups.tolist() == plain.groups.tolist() and packed.detected.all()
    assert packed.holdout.tolist() == plain.holdout.tolist()
    # Large faces are shrunk, small ones are kept as they are; both give the same crops.
    assert packed[0].image.shape == (152, 152, 3) and max(packed[2].image.shape) < 60
    for index in range(3):
        crops, _ = plain_views(plain, np.array([index]), 112)
        again, _ = plain_views(packed, np.array([index]), 112)
        assert np.abs(crops.astype(float) - again).mean() < 4.0
        shifted = np.roll(crops, 3, axis=2)
        assert np.abs(shifted.astype(float) - again).mean() > 6.0


def test_packing_goes_on_where_it_was_killed(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "SHARD_FACES", 2)
    arguments = ("--data", f"csv:{table}", "--out", str(tmp_path / "p"))
    run(pack, *arguments, monkeypatch=monkeypatch)
    first, second = sorted((tmp_path / "p").glob("shard-*.npz"))
    kept, made = first.stat().st_mtime_ns, second.read_bytes()
    second.unlink()
    run(pack, *arguments, monkeypatch=monkeypatch)
    assert first.stat().st_mtime_ns == kept and len(second.read_bytes()) == len(made)


def test_labels_of_packed_faces_are_not_turned(tmp_path: Path) -> None:
    """The zero pose belongs to the renderer; labels of photos are what they are."""
    write_shard(tmp_path, 0, 5)
    zero = (0.0, 5.0, 0.0)
    packed = FacePool([f"packed:{tmp_path}"], zero_pose_deg=zero)
    rendered = FacePool([f"rendered:{tmp_path}"], zero_pose_deg=zero)
    plain = FacePool([tmp_path])
    assert packed.rescan() == rendered.rescan() == plain.rescan() == 5
    np.testing.assert_array_equal(packed.angles_deg, plain.angles_deg)
    assert np.abs(rendered.angles_deg - plain.angles_deg).max() > 3.0
    again = FacePool([], zero_pose_deg=zero)
    again.add(packed.files)
    np.testing.assert_array_equal(again.angles_deg, plain.angles_deg)


def test_the_loader_is_set_against_the_network(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, 20)
    network = NetworkConfig(width=8)
    config = SpeedConfig((str(tmp_path),), network, batch_size=8, seconds=0.1, device="cpu")
    speed = measure(config)
    assert set(speed) == {"loader", "read", "augment", "network"}
    assert all(views > 0 for views in speed.values())
    with pytest.raises(FileNotFoundError, match="expected labelled faces in"):
        measure(SpeedConfig((str(tmp_path / "nothing"),), network))


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (50.0, "loads 20.0 times what the network takes; loading costs 5% of one core's time"),
        (900.0, "loads 1.1 times what the network takes; 1 core feeds it (`--workers 1`)"),
        (9500.0, "loads 0.1 times what the network takes; 10 cores feed it (`--workers 10`)"),
    ],
)
def test_how_many_workers_a_network_needs(network: float, says: str) -> None:
    speed = {"loader": 1000.0, "read": 5000.0, "augment": 1250.0, "network": network}
    assert says in summary(speed, SpeedConfig(("faces",), device="cpu"))
