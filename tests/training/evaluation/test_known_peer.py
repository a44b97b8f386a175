# SPDX-License-Identifier: Apache-2.0
"""A peer whose error on AFLW2000 is published: the whole way of the evaluation, on real photos."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.places import REPOSITORY
from training.evaluate import EvaluateConfig, evaluate

FSANET = REPOSITORY / "benchmarks" / "peers" / "fsanet.toml"


def some_of_aflw2000(folder: Path, shared_dir: Path, every: int) -> Path:
    """A directory of some of the faces, by links, so that nothing is written beside the data."""
    folder.mkdir()
    labels = sorted((shared_dir / "data" / "aflw2000").glob("*.mat"))[::every]
    for path in labels:
        for file in (path, path.with_suffix(".jpg")):
            (folder / file.name).symlink_to(file)
    return folder


def fsanet(root: Path, shared_dir: Path, out: Path) -> dict[str, float]:
    """Results of FSA-Net, the fastest way."""
    files = shared_dir / "data" / "models"
    config = EvaluateConfig(
        (str(FSANET),), "aflw2000", root, out, peer_files=files, pictures=False, move_boxes=False
    )
    results: dict[str, float] = evaluate(config)["models"]["fsanet"]
    return results


def test_a_known_peer_comes_out_near_its_known_error(tmp_path: Path, shared_dir: Path) -> None:
    root = some_of_aflw2000(tmp_path / "faces", shared_dir, every=13)
    numbers = fsanet(root, shared_dir, tmp_path / "out")
    assert numbers["n"] == 74 and numbers["missed"] <= 2
    assert numbers["mae"]["mean"] == pytest.approx(4.65, abs=0.3)


@pytest.mark.long
def test_a_known_peer_has_its_known_error(tmp_path: Path, shared_dir: Path) -> None:
    root = some_of_aflw2000(tmp_path / "faces", shared_dir, every=1)
    numbers = fsanet(root, shared_dir, tmp_path / "out")
    assert (numbers["n"], numbers["missed"]) == (979, 10)
    assert numbers["mae"]["mean"] == pytest.approx(4.65, abs=0.4)
