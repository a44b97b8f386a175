# SPDX-License-Identifier: Apache-2.0
"""Files, folders and patterns that are given: what is left out or read in part is said."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from headpose_core.commands.cli import main
from headpose_core.commands.file_arguments import found_files
from headpose_core.images.image_files import PICTURES, read_image, write_image
from headpose_core.images.video import VIDEOS, VideoReader
from headpose_core.images.video_writer import write_video
from tests.video_files import encode, pictures


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_folder_holds_besides_is_counted_and_named(here: Path, capsys) -> None:
    (here / "mixed" / "sub").mkdir(parents=True)
    names = ["a.jpg", "b.GIF", "c.heic", "d.nef", "e.NEF", "f.txt", ".DS_Store", "g"]
    for name in [*names, "h.mts", "i.ts", "j.jp2", "k.pgm"]:
        (here / "mixed" / name).touch()
    assert [path.name for path in found_files(["mixed"], PICTURES)] == [
        *("a.jpg", "b.GIF", "c.heic", "j.jp2", "k.pgm")
    ]
    told = capsys.readouterr().err
    for part in (
        "2 .nef",
        "1 .txt",
        "1 .mts",
        "1 .ts",
        "1 folder",
        "1 other",
        "d.nef, e.NEF, f.txt",
    ):
        assert part in told
    assert "and 2 more" in told and "DS_Store" not in told
    assert [path.name for path in found_files(["mixed"], VIDEOS)] == ["h.mts", "i.ts"]
    assert "1 .heic" in capsys.readouterr().err


def test_a_folder_without_such_files_says_what_it_has(here: Path, capsys) -> None:
    (here / "raw").mkdir()
    (here / "raw" / "a.cr2").touch()
    with pytest.raises(ValueError, match=r"raw: expected files ending in .*\.heic"):
        found_files(["raw"], PICTURES)
    assert "raw: left out 1 .cr2: a.cr2" in capsys.readouterr().err


def test_nothing_is_said_where_nothing_is_left_out(here: Path, capsys) -> None:
    (here / "clean").mkdir()
    (here / "clean" / "a.jpg").touch()
    assert found_files(["clean", "clean/*.jpg", "absent.jpg"], PICTURES) == [
        *(Path("clean/a.jpg"), Path("absent.jpg"))
    ]
    assert capsys.readouterr().err == ""


def test_names_are_not_taken_for_patterns(here: Path) -> None:
    for name in ("[1].jpg", "1.jpg", "a*.jpg", "ab.jpg"):
        (here / name).touch()
    assert found_files(["[1].jpg", "a*.jpg"], PICTURES) == [Path("[1].jpg"), Path("a*.jpg")]
    assert found_files(["?.jpg"], PICTURES) == [Path("1.jpg")]
    (here / "sub1").mkdir()
    (here / "sub1" / "c.jpg").touch()
    assert found_files(["sub?"], PICTURES) == [Path("sub1/c.jpg")]


@pytest.mark.parametrize("kind", [".gif", ".tif", ".heic"])
@pytest.mark.parametrize("count", [2, 3])
def test_more_pictures_in_a_file_are_said(
    here: Path, tiny_model_file: Path, capsys, kind: str, count: int
) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow")
    if kind == ".heic":
        pytest.importorskip("pillow_heif", reason="needs pillow-heif").register_heif_opener()
    first, *others = map(pillow.fromarray, pictures(count))
    first.save(here / f"a{kind}", save_all=True, append_images=others)
    assert main(["image", f"a{kind}", "--model", str(tiny_model_file)]) == 0
    told = capsys.readouterr()
    assert f"a{kind}: has {count} pictures, the first one is taken" in told.err
    assert len(told.out.splitlines()) == 1


def test_pictures_that_cannot_be_read_here_fail_by_name(
    here: Path, tiny_model_file: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the package that reads them they are not passed over in silence."""
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    (here / "phone").mkdir()
    (here / "phone" / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(90))
    write_image(here / "phone" / "b.png", pictures(1)[0])
    assert main(["image", "phone", "--model", str(tiny_model_file)]) == 1
    told = capsys.readouterr()
    assert "phone/a.heic: expected pillow-heif" in told.err
    assert "pip install pillow-heif" in told.err and "1 of 2 photos failed" in told.err
    assert [json.loads(line)["image"] for line in told.out.splitlines()] == ["phone/b.png"]


@pytest.mark.parametrize(
    "name",
    [
        *("2031-01-02T03:04:05", "rtsp:x", "-a", "100%d", "[ab]", "Zoë"),
        *(os.fsdecode(b"caf\xe9"), os.fsdecode(b"\xff\xfe\xfd")),
    ],
)
@pytest.mark.parametrize("command", ["image", "video"])
def test_any_name_goes_through(
    here: Path, tiny_model_file: Path, capsys, command: str, name: str
) -> None:
    (here / "in").mkdir()
    if command == "image":
        write_image(here / "in" / f"{name}.png", pictures(1)[0])
    else:
        encode(here / "plain.mp4", pictures(3))
        shutil.move(here / "plain.mp4", here / "in" / f"{name}.mp4")
    for given in ("in", f"in/{name}.png" if command == "image" else f"in/{name}.mp4"):
        records = "r.jsonl" if command == "image" else f"new {name}"
        arguments = [given, "--out", f"out {name}", "--jsonl", records]
        assert main([command, *arguments, "--model", str(tiny_model_file), "--quiet"]) == 0
    (copy,) = (here / f"out {name}").iterdir()
    assert copy.stem == f"{name}_headpose"
    if command == "image":
        record = json.loads((here / "r.jsonl").read_text())
        assert record["image"] == f"in/{name}.png"
        assert read_image(copy).shape == (480, 640, 3)
    else:
        assert len(list(VideoReader(copy))) == 3
        (poses,) = (here / f"new {name}").iterdir()
        assert len(poses.read_text().splitlines()) == 3


def test_a_video_may_change_its_size(here: Path, tiny_model_file: Path, capsys) -> None:
    """As recordings of calls do: the copy keeps the size of the first image."""
    parts = [encode(here / f"{i}.ts", pictures(4, size), codec="mpeg2video") for i, size in
             enumerate([(320, 240), (160, 240), (640, 480)])]  # fmt: skip
    (here / "call.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    sizes = {image.shape for _, image in VideoReader(here / "call.ts")}
    assert len(sizes) == 3
    arguments = ["call.ts", "--out", "copy.mp4", "--zoom", "1", "--model", str(tiny_model_file)]
    assert main(["video", *arguments]) == 0
    shown = [image for _, image in VideoReader(here / "copy.mp4")]
    assert {image.shape for image in shown} == {(240, 320, 3)}
    narrow = [image for image in shown if image[:, :70].max() < 30]
    assert narrow
    assert all(image[:100, 90:150, 0].mean() > 150 for image in narrow)


@pytest.mark.parametrize(("every", "count"), [(1, 12), (3, 4), (5, 3)])
def test_thinned_videos_keep_their_time(
    here: Path, tiny_model_file: Path, every: int, count: int
) -> None:
    stamps_ms = [0, 40, 80, 500, 540, 580, 1500, 1540, 1580, 3000, 3040, 3080]
    encode(here / "a.mkv", pictures(12), stamps_ms=stamps_ms)
    arguments = ["a.mkv", "--out", "b.mp4", "--every", str(every), "--jsonl", "p.jsonl"]
    assert main(["video", *arguments, "--model", str(tiny_model_file)]) == 0
    expected = np.array(stamps_ms[::every]) / 1000
    told = [json.loads(line)["stamp"] for line in (here / "p.jsonl").read_text().splitlines()]
    np.testing.assert_allclose([stamp for stamp, _ in VideoReader("b.mp4")], expected, atol=2e-3)
    np.testing.assert_allclose(told, expected, atol=2e-3)
    assert len(told) == count


def test_a_damaged_video_is_said(here: Path, tiny_model_file: Path, capsys) -> None:
    whole = encode(here / "whole.avi", pictures(120)).read_bytes()
    (here / "cut.avi").write_bytes(whole[: len(whole) // 2])
    assert main(["video", "cut.avi", "--csv", "p.csv", "--model", str(tiny_model_file)]) == 0
    assert "warning: cut.avi announces 120 images" in capsys.readouterr().err


def test_a_video_without_images_leaves_nothing(here: Path, tiny_model_file: Path, capsys) -> None:
    with write_video("a.mp4", 30.0) as writer:
        writer.write(pictures(1)[0])
    data = bytearray(Path("a.mp4").read_bytes())
    begin = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[begin:end] = bytes(end - begin)
    Path("a.mp4").write_bytes(data)
    arguments = ["--out", "new/b.mp4", "--jsonl", "new/p.jsonl", "--model", str(tiny_model_file)]
    assert main(["video", "a.mp4", *arguments]) == 1
    assert "error: a.mp4: expected images, none can be decoded" in capsys.readouterr().err
    assert list((here / "new").iterdir()) == []
