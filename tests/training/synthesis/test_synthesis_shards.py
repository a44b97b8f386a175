# SPDX-License-Identifier: Apache-2.0
"""Shards: their format, going on after a kill, and refusing to mix runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

pytest.importorskip("moderngl")
pytest.importorskip("scipy")

from training import synthesize
from training.synthesis import shards
from training.synthesis.shards import Plan, make_shard, shard_path, write_meta, write_shard
from training.synthesis.sheet import write_sheet

if TYPE_CHECKING:
    from training.synthesis.engine import Engine


@pytest.fixture(scope="module")
def folder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one shard of eight images."""
    path = tmp_path_factory.mktemp("renders")
    write_meta(path, Plan(8, engine.seed), engine.renderer.device)
    write_shard(shard_path(path, 0), make_shard(engine, range(8)))
    return path


def test_parts_share_out_all_images_once() -> None:
    plans = [Plan(2500, 1, part, 3) for part in range(3)]
    images = [i for plan in plans for shard in plan.shards() for i in plan.images(shard)]
    assert sorted(images) == list(range(2500))


def test_format(folder: Path, engine: Engine) -> None:
    shard = np.load(folder / "shard-00000.npz")
    assert shard["angles_deg"].shape == (8, 3) and shard["angles_deg"].dtype == np.float32
    assert shard["box"].shape == (8, 4) and shard["box"].dtype == np.float32
    assert shard["detected"].dtype == bool and shard["landmarks"].shape == (8, 68, 2)
    offsets = shard["offsets"]
    assert offsets.dtype == np.int64 and offsets[0] == 0 and offsets[-1] == len(shard["jpeg"])
    for k, index in enumerate(shard["seed"]):
        picture = cv2.imdecode(shard["jpeg"][offsets[k] : offsets[k + 1]], cv2.IMREAD_COLOR)
        again = engine.sample(int(index))
        # The file is RGB by meaning: any JPEG reader shows the colours that were rendered.
        assert np.abs(picture[..., ::-1].astype(int) - again.context).mean() < 4
        np.testing.assert_allclose(shard["angles_deg"][k], again.scene.angles_deg, rtol=1e-6)
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["seed"] == 7 and meta["generator_version"] >= 1
    assert np.array(meta["zero_pose"]).shape == (3, 3)


def test_a_killed_run_goes_on_and_ends_with_the_same_files(
    folder: Path,
    engine: Engine,
    head_assets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shards, "SHARD_IMAGES", 4)
    monkeypatch.setattr("training.synthesis.engine.Engine", lambda *_, **__: engine)
    argv = ["--out", str(tmp_path), "--count", "8", "--seed", "7", "--assets", str(head_assets)]
    # A run that was killed within the second shard leaves the first one and a temporary file.
    write_meta(tmp_path, Plan(8, 7), "any")
    write_shard(shard_path(tmp_path, 0), make_shard(engine, range(4)))
    first = shard_path(tmp_path, 0).stat()
    (tmp_path / ".shard-00001.4711.npz").write_bytes(b"half")
    assert synthesize.main(argv) == 0
    assert shard_path(tmp_path, 0).stat().st_mtime_ns == first.st_mtime_ns  # kept, not redone
    whole = np.load(folder / "shard-00000.npz")
    pieces = [np.load(shard_path(tmp_path, k)) for k in (0, 1)]
    for name in ("angles_deg", "box", "detected", "seed", "jpeg"):
        np.testing.assert_array_equal(np.concatenate([p[name] for p in pieces]), whole[name])


def test_another_seed_in_the_same_folder_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="seed"):
        write_meta(folder, Plan(8, 8), "any")


def test_missing_assets_end_with_a_message(
    head_assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--out", str(tmp_path / "out"), "--count", "1", "--assets", str(tmp_path)]
    assert synthesize.main(argv) == 1
    assert "makehuman-assets" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_assets_it_says_what_to_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert synthesize.main(["--out", str(tmp_path / "out")]) == 1
    assert "--assets: expected the folder of the MakeHuman parts" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["2/2", "x", "1/0", "-1/2"])
def test_bad_shard_option_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        synthesize.main(["--out", "x", f"--shard={value}"])
    assert "expected I/N" in capsys.readouterr().err


def test_sheet_shows_the_shards(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for path in write_sheet(folder):
        picture = cv2.imread(str(path))
        assert picture is not None and picture.std() > 10
    with pytest.raises(ValueError, match="shard"):
        write_sheet(tmp_path)
