# SPDX-License-Identifier: Apache-2.0
"""Evaluation against numbers worked out by hand."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from headpose_core.geometry.rotation import matrix_from_angles
from headpose_core.images.crop import crop_faces, square_boxes
from headpose_core.images.image_files import read_image, write_image
from headpose_core.images.image_view import as_view
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.pose.bins import decode
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig, save_weights
from tests.benchmarks.peer_files import write_peer, write_toml
from tests.learning.drawn_faces import write_shard
from tests.places import REPOSITORY
from tests.tiny_models import write_tiny_model
from training.evaluate import EvaluateConfig, evaluate, main

FSANET = REPOSITORY / "benchmarks" / "peers" / "fsanet.toml"
# The tiny model says -91.5 + 183 b / 255 degrees for a crop of mean brightness b, with spreads of
# 3 degrees times the square root of its temperatures 1, 1.5 and 2.
DEGREES_PER_GREY = 183 / 255
SIGMAS = np.array([3.0, 3.0 * 1.5**0.5, 3.0 * 2.0**0.5])
SIDE = 112  # as the crop, so that nothing is resized
CENTRES = np.array([[536, 480], [400, 520], [776, 440], [116, 560]])  # yaws 4, -20, 47 and -71
ERRORS = np.array([[2.0, -4.0, 4.0], [-2.0, 4.0, 5.0], [7.0, 2.0, -4.0], [-7.0, 2.0, 3.0]])
BLUE = 140


@pytest.fixture(scope="module")
def ramp_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labelled boxes in a picture that gets redder to the right and greener downwards, by
    one grey in 4 pixels.

    No detector finds a face in it. The labels are what the tiny model says, less `ERRORS`.
    """
    folder = tmp_path_factory.mktemp("ramp")
    image = np.full((1024, 1024, 3), BLUE, np.uint8)
    image[..., 0], image[..., 1] = np.arange(1024) // 4, np.arange(1024)[:, None] // 4
    lines = ["path,x1,y1,x2,y2,yaw,pitch,roll"]
    for number, (centre, label) in enumerate(zip(CENTRES, answers() - ERRORS, strict=True)):
        write_image(folder / f"{number}.png", image)
        box = [*(centre - SIDE // 2), *(centre + SIDE // 2)]
        lines.append(",".join(map(str, [f"{number}.png", *box, *label])))
    (folder / "faces.csv").write_text("\n".join(lines))
    return folder / "faces.csv"


def answers() -> np.ndarray:
    """What the tiny model says about the four boxes, (4, 3) degrees."""
    grey = np.column_stack([CENTRES / 4 - 0.5, np.full(4, BLUE)])
    return -91.5 + DEGREES_PER_GREY * grey


def test_every_number_is_the_one_worked_out_by_hand(tmp_path: Path, ramp_table: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.onnx")
    evaluate(EvaluateConfig((str(model),), "csv", ramp_table, tmp_path / "out", pictures=False))
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())["models"]["tiny"]

    def near(expected: object) -> object:
        return pytest.approx(expected, abs=0.05)

    assert numbers["n"] == 4 and numbers["missed"] == 4
    assert numbers["mae"] == near({"yaw": 4.5, "pitch": 3.0, "roll": 4.0, "mean": 11.5 / 3})
    assert numbers["by_yaw"] == near({"0-30": 3.5, "30-60": 13 / 3, "60-99": 4.0})
    assert numbers["n_by_yaw"] == {"0-30": 2, "30-60": 1, "60-99": 1}
    assert numbers["bias"] == near({"yaw": 0.0, "pitch": 1.0, "roll": 2.0})
    both = matrix_from_angles(answers()), matrix_from_angles(answers() - ERRORS)
    traces = np.einsum("nij,nij->n", *both)
    apart = np.degrees(np.arccos((traces - 1) / 2))
    assert numbers["geodesic"] == near(apart.mean())
    assert numbers["geodesic_by_yaw"]["60-99"] == near(apart[3])
    # The mirrored crop has the same mean colours, so the answer is the same, and yaw and roll
    # should have changed sign.
    assert numbers["mirror"] == near((2 * np.abs(answers()) * (1, 0, 1)).mean())
    # A tenth of 112 pixels is 2.8 greys of one of the three angles.
    step = 2.8 * DEGREES_PER_GREY
    assert numbers["moved_boxes"]["shift"] == near(step / 3)
    assert numbers["moved_boxes"]["scale"] == near(0.0)
    left = (np.abs(ERRORS[:, 0] - step).mean() + 3.0 + 4.0) / 3
    down = (4.5 + np.abs(ERRORS[:, 1] + step).mean() + 4.0) / 3
    assert numbers["moved_boxes"]["mae"]["left"] == near(left)
    assert numbers["moved_boxes"]["mae"]["down"] == near(down)
    assert numbers["moved_boxes"]["mae"]["larger"] == near(11.5 / 3)
    assert numbers["coverage_1sigma"] == near((2 + 2 + 3) / 12)
    assert numbers["coverage_2sigma"] == near((2 + 4 + 4) / 12)
    assert numbers["sharpness"] == near(dict(zip(("yaw", "pitch", "roll"), SIGMAS, strict=True)))
    nll = 0.5 * (ERRORS / SIGMAS) ** 2 + np.log(SIGMAS) + 0.5 * np.log(2 * np.pi)
    assert numbers["nll"] == near(nll.mean())
    # Fitted to faces 0 and 2, measured on 1 and 3; the mean stays, so the errors do.
    fitted = numbers["calibrated"]
    sigmas = np.array(list(fitted["sharpness"].values()))
    np.testing.assert_allclose(sigmas, 3 * np.sqrt(fitted["temperature"]), rtol=0.05)
    # One sigma shall cover 68 % of two errors: the smaller one, or both where they are alike.
    np.testing.assert_allclose(sigmas, np.abs(ERRORS[::2]).min(axis=0), rtol=0.05)
    nll = 0.5 * (ERRORS[1::2] / sigmas) ** 2 + np.log(sigmas) + 0.5 * np.log(2 * np.pi)
    assert fitted["nll"] == near(nll.mean())


def test_given_boxes_are_no_misses(tmp_path: Path, ramp_table: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.onnx")
    config = EvaluateConfig(
        (str(model),),
        "csv",
        ramp_table,
        tmp_path / "out",
        boxes="labelled",
        pictures=False,
        move_boxes=False,
    )
    numbers = evaluate(config)["models"]["tiny"]
    assert numbers["missed"] == 0 and numbers["moved_boxes"] is None
    assert numbers["mae"]["mean"] == pytest.approx(11.5 / 3, abs=0.05)


def test_a_peer_and_a_mean_are_measured_on_the_same_faces(
    tmp_path: Path, ramp_table: Path
) -> None:
    tiny = write_tiny_model(tmp_path / "tiny.onnx")
    other = write_tiny_model(tmp_path / "other.onnx", sharpness=0.5)
    # The same answers from a network of another crop, colour order, normalisation and output.
    write_peer(tmp_path, scale=183.0, offset=-90.5)
    peer = write_toml(
        tmp_path,
        input='size = 16\nchannels = "BGR"\nstd = 255\nbox_scale = 1.2',
        output='order = ["roll", "pitch", "yaw"]',
    )
    models = (str(tiny), f"{tiny}+{other}", f"peer={peer}")
    results = evaluate(EvaluateConfig(models, "csv", ramp_table, tmp_path / "out", pictures=False))
    assert list(results["models"]) == ["tiny", "tiny+other", "peer"]
    mean = results["models"]["tiny+other"]
    assert mean["mae"]["mean"] == pytest.approx(11.5 / 3, abs=0.05)
    # The variances of the two are 1 and 2 bins; a mean of softmax outputs has 1.5.
    assert mean["sharpness"]["yaw"] == pytest.approx(3 * 1.5**0.5, abs=0.05)
    shifted = results["models"]["peer"]
    assert shifted["bias"]["pitch"] == pytest.approx(2.0, abs=0.05)  # all it says is one higher
    assert shifted["nll"] is None and shifted["calibrated"] is None
    gains = np.abs(ERRORS + 1).mean(axis=1) - np.abs(ERRORS).mean(axis=1)
    found = {(d["first"], d["second"]): d for d in results["differences"]}
    difference = found["tiny", "peer"]
    assert difference["mae"] == pytest.approx(gains.mean(), abs=0.05)
    low, high = difference["interval_95"]
    assert gains.min() - 0.05 <= low <= difference["mae"] <= high <= gains.max() + 0.05
    page = (tmp_path / "out" / "results.md").read_text()
    assert "| peer | - | - | - |" in page and "tiny+other - tiny" in page


def test_weights_of_a_run_are_measured_like_their_export(tmp_path: Path, ramp_table: Path) -> None:
    torch.manual_seed(0)
    network = HeadPoseNet(NetworkConfig("resnet18", 8)).eval()
    save_weights(tmp_path / "run.safetensors", network, {})
    config = EvaluateConfig(
        (str(tmp_path / "run.safetensors"),), "csv", ramp_table, tmp_path / "out", pictures=False
    )
    evaluate(config)
    with (tmp_path / "out" / "predictions-run.csv").open() as file:
        rows = list(csv.DictReader(file))
    image = read_image(ramp_table.parent / "0.png")
    boxes = np.hstack([CENTRES - SIDE // 2, CENTRES + SIDE // 2])
    with torch.inference_mode():
        logits = network(torch.from_numpy(crop_faces(as_view(image), square_boxes(boxes))))
    expected = decode(logits.numpy()).mean_deg
    said = [[float(row[f"is_{name}"]) for name in ("yaw", "pitch", "roll")] for row in rows]
    np.testing.assert_allclose(said, expected, atol=2e-3)
    assert [row["name"] for row in rows] == ["0", "1", "2", "3"]


def test_faces_beyond_given_angles_are_left_out_and_counted(
    tmp_path: Path, ramp_table: Path
) -> None:
    model = write_tiny_model(tmp_path / "tiny.onnx")
    plain = EvaluateConfig((str(model),), "csv", ramp_table, tmp_path / "out", pictures=False)
    results = evaluate(replace(plain, move_boxes=False, max_angles_deg=(30.0, 90.0, 90.0)))
    assert results["faces"] == results["models"]["tiny"]["n"] == 2
    assert list(results["left_out"].values()) == [2]
    assert results["models"]["tiny"]["mae"]["mean"] == pytest.approx(3.5, abs=0.05)


@pytest.mark.parametrize(
    ("model", "dataset", "complaint"),
    [
        ("absent.onnx", "csv", "absent.onnx"),
        ("absent.safetensors", "csv", "absent.safetensors"),
        (str(FSANET), "csv", "--peer-files"),
        ("tiny.onnx", "aflw", "aflw2000, "),
        ("tiny.onnx", "aflw2000", "AFLW2000"),
    ],
)
def test_a_mistake_ends_with_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
    dataset: str,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "tiny.onnx")
    args = ["--model", model, "--dataset", dataset, "--root", "nowhere", "--out", "out"]
    assert main(args) == 2
    error = capsys.readouterr().err
    assert complaint in error and "Traceback" not in error


def test_results_of_a_model_on_rendered_faces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "data", 0, 300)
    model = write_tiny_model(tmp_path / "a.onnx")
    config = EvaluateConfig(
        (str(model),), "rendered", tmp_path / "data", tmp_path / "out", fit_temperature=True
    )
    evaluate(config)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    numbers = results["models"]["a"]
    assert results["dataset"] == "rendered" and len(numbers["temperature"]) == 3

    shards = FacePool([tmp_path / "data"])
    shards.rescan()
    held = [shards[int(index)] for index in shards.holdout]
    assert numbers["n"] == len(held) > 0 and numbers["missed"] == 0
    crops = [crop_faces(as_view(face.image), square_boxes(face.box[None]))[0] for face in held]
    angles = decode(HeadPoseModel.load(model).infer(np.array(crops))).mean_deg
    errors = np.abs(angles - [face.angles_deg for face in held])
    assert numbers["mae"]["yaw"] == pytest.approx(errors[:, 0].mean(), abs=1e-3)

    turned = evaluate(replace(config, zero_pose_deg=(0.0, -5.0, 0.0), pictures=False))
    moved = turned["models"]["a"]["bias"]["pitch"] - numbers["bias"]["pitch"]
    assert moved == pytest.approx(5.0, abs=1.0)

    assert "| a |" in capsys.readouterr().out
    for name in ("predictions-a", "worst-a", "scatter-a", "error-against-angle"):
        assert cv2.imread(str(tmp_path / "out" / f"{name}.png")) is not None
