# SPDX-License-Identifier: Apache-2.0
"""The command line as a user runs it: files in, files and lines out, exit status."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import headpose_core
from headpose_core.commands.cli import main
from headpose_core.faces.face_detector import DetectorSettings
from headpose_core.images.image_files import read_image, write_image
from headpose_core.images.video import VideoReader
from headpose_core.pipeline import PipelineSettings
from headpose_core.settings import settings_of
from tests.places import REPOSITORY

HEAD_KEYS = ["box", "score", "direction", "rep103_deg", "paper_deg", "paper_std_deg"]
HEAD_KEYS += ["extrapolated"]
HEAD_KEYS += ["orientation_xyzw"]


@pytest.fixture(scope="module")
def photo(car_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "driver.png"
    write_image(path, next(iter(VideoReader(car_video)))[1])
    return path


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_photo_gives_a_line_and_an_annotated_copy(
    photo: Path, tiny_model_file: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "new" / "out"
    assert main(["image", str(photo), "--out", str(out), "--model", str(tiny_model_file)]) == 0
    told = capsys.readouterr()
    (record,) = lines(told.out)
    assert list(record) == ["image", "heads"]
    assert record["image"] == str(photo)
    (head,) = record["heads"]
    assert list(head) == HEAD_KEYS
    x1, y1, x2, y2 = head["box"]
    assert 50 < x1 < 80 < 100 < x2 < 130
    assert 20 < y1 < 50 < 80 < y2 < 120
    assert len(head["paper_std_deg"]) == 3
    (copy,) = out.iterdir()
    assert copy.name == "driver_headpose.jpg"
    assert read_image(copy).shape == (576, 704, 3)  # 176x144 is enlarged
    assert "asked auto, got" in told.err


def test_a_bad_photo_is_said_and_the_others_go_on(
    photo: Path, tiny_model_file: Path, tmp_path: Path, capsys
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo.read_bytes()[:20])
    empty = tmp_path / "driver.png"  # no face, and the name of another photo
    write_image(empty, np.zeros((60, 80, 3), np.uint8))
    photos = [str(broken), str(tmp_path / "absent.jpg"), str(photo), str(empty)]
    out = tmp_path / "out"
    assert main(["image", *photos, "--out", str(out), "--model", str(tiny_model_file)]) == 1
    told = capsys.readouterr()
    records = lines(told.out)
    assert [record["image"] for record in records] == photos[2:]
    assert [len(record["heads"]) for record in records] == [1, 0]
    assert "broken.jpg: expected a picture" in told.err
    assert "absent.jpg: cannot read this file (No such file" in told.err
    assert "2 of 4 photos failed" in told.err
    assert sorted(p.name for p in out.iterdir()) == [
        "driver_headpose.jpg",
        "driver_headpose_2.jpg",
    ]


def test_a_video_gives_a_video_and_a_line_per_image(
    car_video: Path, tiny_model_file: Path, tmp_path: Path
) -> None:
    out, poses = tmp_path / "out.mp4", tmp_path / "poses" / "out.jsonl"
    arguments = [str(car_video), "--out", str(out), "--jsonl", str(poses)]
    assert main(["video", *arguments, "--model", str(tiny_model_file), "--zoom", "2"]) == 0
    records = lines(poses.read_text())
    assert len(records) == 120
    assert all(list(record) == ["stamp", "processing_ms", "heads"] for record in records)
    assert np.all(np.diff([record["stamp"] for record in records]) > 0.03)
    assert {head["face_id"] for record in records for head in record["heads"]} == {"f1"}
    assert list(records[0]["heads"][0]) == ["face_id", *HEAD_KEYS]
    assert sum(1 for _, image in VideoReader(out) if image.shape == (288, 352, 3)) == 120
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["out.jsonl", "out.mp4"]


def test_a_video_is_never_replaced_by_its_copy(
    car_video: Path, tiny_model_file: Path, tmp_path: Path, capsys
) -> None:
    video = tmp_path / "mine.mp4"
    video.write_bytes(car_video.read_bytes())
    arguments = ["video", str(video), "--out", str(video), "--model", str(tiny_model_file)]
    assert main(arguments) == 1
    assert "would replace the input" in capsys.readouterr().err
    assert video.read_bytes() == car_video.read_bytes()


@pytest.mark.parametrize("option", ["--model", "--detector-model"])
def test_a_missing_network_is_said_in_words(
    photo: Path, tiny_model_file: Path, capsys, option: str
) -> None:
    arguments = ["image", str(photo), "--model", str(tiny_model_file), option, "absent.onnx"]
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert "headpose: error: absent.onnx: cannot read this model file" in told.err
    assert not told.out


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--score-threshold", "2", "a number, 0 to 1"),
        ("--min-face-size", "nan", "a number, 0 to 10000"),
        ("--max-side", "640.5", "a whole number, 32 to 8192"),
        ("--max-faces", "0", "a whole number, 1 to 1000"),
        ("--threads", "0", "a whole number, 1 to 64"),
        ("--zoom", "-1", "a number, 0.01 to 100"),
        ("--every", "0", "a whole number, 1 or more"),
    ],
)
def test_wrong_options_are_said_with_their_limits(
    photo: Path, capsys, option: str, value: str, expected: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["image", str(photo), option, value])
    told = capsys.readouterr()
    assert f"error: argument {option}: expected {expected}, got '{value}'" in told.err
    assert not told.out


@pytest.mark.parametrize(("command", "max_faces"), [("image", 100), ("camera", 8)])
def test_help_has_the_words_and_defaults_of_settings(command: str, max_faces: int, capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for one in (*settings_of(DetectorSettings), settings_of(PipelineSettings)[0]):
        words = f"{one.words[0].lower()}{one.words[1:].rstrip('.')}"
        default = max_faces if one.name == "max_faces" else one.default
        assert (words if one.limits is None else f"{words} (default {default:g})") in told
    assert f"(default {max_faces})" in told


def test_folders_and_patterns_of_photos(
    photo: Path, tiny_model_file: Path, tmp_path: Path, capsys
) -> None:
    for name in ("b.png", "a.png", "c.jpg"):
        write_image(tmp_path / name, read_image(photo))
    (tmp_path / "notes.txt").write_text("no photo")
    model = ["--model", str(tiny_model_file), "--quiet"]

    def names(*arguments: str) -> list[str]:
        assert main(["image", *arguments, *model]) == 0
        return [Path(record["image"]).name for record in lines(capsys.readouterr().out)]

    assert names(str(tmp_path)) == ["a.png", "b.png", "c.jpg"]
    assert names(str(tmp_path / "*.png")) == ["a.png", "b.png"]
    assert names(str(tmp_path), "--every", "2") == ["a.png", "c.jpg"]
    poses = tmp_path / "poses.jsonl"
    assert names(str(tmp_path), "--jsonl", str(poses)) == []
    assert len(lines(poses.read_text())) == 3
    empty = tmp_path / "empty"
    empty.mkdir()
    for nothing in (empty, tmp_path / "*.bmp"):
        assert main(["image", str(nothing), *model]) == 1
        assert f"{nothing}: expected" in capsys.readouterr().err


def test_several_videos_and_a_bad_one(
    car_video: Path, tiny_model_file: Path, tmp_path: Path, capsys
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(car_video.read_bytes())
    (tmp_path / "c.mp4").write_bytes(b"no video")
    arguments = [str(tmp_path), "--jsonl", str(tmp_path / "poses"), "--every", "40"]
    assert main(["video", *arguments, "--model", str(tiny_model_file)]) == 1
    assert f"error: {tmp_path / 'c.mp4'}: expected a video" in capsys.readouterr().err
    texts = [path.read_text() for path in sorted((tmp_path / "poses").iterdir())]
    assert [len(lines(text)) for text in texts] == [3, 3]
    assert main(["video", str(tmp_path), "--model", str(tiny_model_file)]) == 1
    assert "give --out, --jsonl or --csv" in capsys.readouterr().err


def test_a_camera_without_a_display_writes_records(
    car_video: Path, tiny_model_file: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    # OpenCV opens files, too: a camera that ends.
    poses = tmp_path / "poses.jsonl"
    arguments = ["camera", str(car_video), "--model", str(tiny_model_file), "--every", "30"]
    assert main([*arguments, "--jsonl", str(poses)]) == 0
    assert "no window: there is no display" in capsys.readouterr().err
    assert len(lines(poses.read_text())) == 4
    assert main(arguments) == 1
    assert "nothing can be shown: there is no display" in capsys.readouterr().err


def test_a_camera_that_is_not_there_is_said(tmp_path: Path, capsys) -> None:
    assert main(["camera", "93", "--jsonl", str(tmp_path / "p.jsonl")]) == 1
    assert "camera 93: expected one that OpenCV can open" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb (apt install xvfb)")
def test_a_window_shows_pictures_until_it_is_closed() -> None:
    pytest.importorskip("tkinter", reason="needs Python's tkinter (apt install python3-tk)")
    code = (
        "import numpy as np; from headpose_core.commands.window import Window, window_problem\n"
        "assert window_problem() == '', window_problem()\n"
        "w = Window('test'); w.show(np.full((40, 60, 3), (255, 0, 0), np.uint8))\n"
        "assert (w._picture.width(), w._picture.height()) == (60, 40)\n"
        "assert w._picture.get(30, 20) == (255, 0, 0)\n"
        "w._root.focus_force(); w._root.update(); w._root.event_generate('<Key-q>')\n"
        "assert w.is_closed; w.close()\n"
    )
    command = ["xvfb-run", "-a", sys.executable, "-c", code]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", ["image", "video", "camera", "bag", "report", "bench", "info"])
def test_help_shows_an_example(command: str, capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"example: headpose {command} " in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["image"], ["video"], ["dance"]])
def test_wrong_use_ends_with_two(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: headpose" in capsys.readouterr().err


def test_info_tells_versions_model_detector_and_device(tiny_model_file: Path, capsys) -> None:
    assert main(["info", "--model", str(tiny_model_file)]) == 0
    told = capsys.readouterr().out
    for text in (
        headpose_core.__version__,
        "tiny",
        "face_detection_yunet_2023mar.onnx",
        "works",
    ):
        assert text in told


def test_info_for_programs(tiny_model_file: Path, capsys) -> None:
    assert main(["info", "--json", "--model", str(tiny_model_file)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["headpose"] == headpose_core.__version__
    assert told["model"]["name"] == "tiny"
    assert told["model"]["device"]["got"] == "cpu"
    assert told["backends"]["onnxruntime"]["cpu"] == "works"
    (shipped,) = (m for m in told["shipped_models"] if m["name"] == "ehpnet_resnet18")
    assert shipped["licence"] == "Apache-2.0"
    assert shipped["metrics"]


def test_info_shows_the_rest_when_the_model_is_missing(capsys) -> None:
    assert main(["info", "--model", "absent.onnx"]) == 1
    told = capsys.readouterr().out
    assert "absent.onnx: cannot read" in told
    assert "face_detection_yunet_2023mar.onnx" in told


def test_version(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"headpose {headpose_core.__version__}\n"


def test_the_package_itself_is_the_command_line() -> None:
    command = [sys.executable, "-m", "headpose_core", "--version"]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert told.stdout == f"headpose {headpose_core.__version__}\n"
