# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from headpose_core.bins import decode
from headpose_core.crop import crop_faces, square_boxes
from headpose_core.detection import GivenBoxes
from headpose_core.image import read_image
from headpose_core.learning.datasets import Aflw2000, Subset
from headpose_core.learning.shards import RenderedShards
from headpose_core.runtime import HeadPoseModel
from tests.learning.drawn_faces import write_shard
from tests.tiny_models import write_tiny_model
from training.evaluate import EvaluateConfig, evaluate, predict
from training.target_face import CachedYuNet, TargetFace

GREY = np.full((300, 300, 3), 128, np.uint8)


def test_the_labelled_face_counts_and_never_the_largest() -> None:
    detected = [[0, 0, 290, 290], [100, 100, 150, 150], [104, 96, 160, 150]]
    target = TargetFace(GivenBoxes(detected, [0.9, 0.7, 0.8]))
    target.box = np.array([100, 100, 152, 150], np.float32)
    faces = target.detect(GREY)
    assert faces.boxes.tolist() == [[100, 100, 150, 150]] and not target.missed
    assert faces.scores == pytest.approx([0.7])


@pytest.mark.parametrize("detected", [[], [[0, 0, 290, 290]], [[130, 100, 180, 150]]])
def test_a_missed_face_gets_the_labelled_box(detected: list[list[float]]) -> None:
    target = TargetFace(GivenBoxes(detected))
    target.box = np.array([100, 100, 150, 150], np.float32)
    assert target.detect(GREY).boxes.tolist() == [[100, 100, 150, 150]] and target.missed


def test_remembered_detections_are_those_of_the_detector(tmp_path: Path, shared_dir: Path) -> None:
    image = read_image(sorted((shared_dir / "data" / "aflw2000").glob("*.jpg"))[0])
    cache = CachedYuNet(tmp_path / "detections.json")
    found = cache.detect(image)
    assert len(found) and len(cache.detect(GREY)) == 0
    cache.save()
    again = CachedYuNet(tmp_path / "detections.json")
    assert (again.detect(image).boxes == found.boxes).all()
    # An entry that is changed by hand is believed: so nothing was detected a second time.
    saved = json.loads((tmp_path / "detections.json").read_text())
    saved["faces"] = {key: [[1, 2, 3, 4, 0.5]] for key in saved["faces"]}
    (tmp_path / "detections.json").write_text(json.dumps(saved))
    assert CachedYuNet(tmp_path / "detections.json").detect(image).boxes.tolist() == [[1, 2, 3, 4]]
    # Those of another detector are not.
    (tmp_path / "detections.json").write_text(json.dumps(saved | {"detector": "another"}))
    assert (CachedYuNet(tmp_path / "detections.json").detect(image).boxes == found.boxes).all()


def test_results_of_a_model_on_rendered_faces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "data", 0, 300)
    paths = (write_tiny_model(tmp_path / "a.onnx"), write_tiny_model(tmp_path / "b.onnx"))
    config = EvaluateConfig(
        model=paths,
        dataset="rendered",
        root=tmp_path / "data",
        out=tmp_path / "out",
        fit_temperature=True,
    )
    evaluate(config)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["dataset"] == "rendered" and set(results["models"]) == {"a", "b"}
    numbers = results["models"]["a"]
    assert set(numbers) >= {
        "mae", "n", "missed", "by_yaw", "geodesic", "bias", "mirror", "coverage_1sigma", "nll"
    }  # fmt: skip
    assert set(numbers["mae"]) == {"yaw", "pitch", "roll", "mean"}
    assert set(numbers["by_yaw"]) == {"0-30", "30-60", "60-99"}
    assert numbers["missed"] == 0 and len(numbers["temperature"]) == 3

    shards = RenderedShards([tmp_path / "data"])
    shards.rescan()
    held = [shards[int(index)] for index in shards.holdout]
    assert numbers["n"] == len(held) > 0
    crops = [crop_faces(face.image, square_boxes(face.box[None]))[0] for face in held]
    angles = decode(HeadPoseModel.load(paths[0]).infer(np.array(crops))).mean_deg
    errors = np.abs(angles - [face.angles_deg for face in held])
    assert numbers["mae"]["yaw"] == pytest.approx(errors[:, 0].mean(), abs=1e-3)

    assert "| a |" in capsys.readouterr().out
    for name in ("worst-a.png", "errors-a.png", "worst-b.png", "errors-b.png"):
        assert cv2.imread(str(tmp_path / "out" / name)) is not None


def test_mirror_consistency_compares_the_same_face(tmp_path: Path, shared_dir: Path) -> None:
    # The tiny model reads mean colours, which a mirror does not change if it keeps the face.
    faces = Aflw2000(shared_dir / "data" / "aflw2000")
    model = HeadPoseModel.load(write_tiny_model(tmp_path / "m.onnx"))
    seen = predict(model, Subset(faces, np.arange(3)), None)
    np.testing.assert_allclose(seen.of_mirrored, seen.mean_deg, atol=1.0)
    assert not seen.missed.any()


def test_aflw2000_through_the_real_detector(tmp_path: Path, shared_dir: Path) -> None:
    config = EvaluateConfig(
        model=(write_tiny_model(tmp_path / "m.onnx"),),
        dataset="aflw2000",
        root=shared_dir / "data" / "aflw2000",
        out=tmp_path / "out",
        limit=25,
    )
    first = evaluate(config)["models"]["m"]
    assert first["n"] == 25 and first["missed"] <= 2
    assert evaluate(config)["models"]["m"] == first  # now with remembered detections
