# SPDX-License-Identifier: Apache-2.0
"""What a command writes lies on nothing that it reads, and replaces no file but its own."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headpose_core.commands.cli import main
from headpose_core.commands.copies import MARK
from headpose_core.images.image_files import jpeg_comment, read_image, write_image
from headpose_core.images.video import VideoReader
from headpose_core.output_files import atomic_write, remove_unfinished, text_file
from tests.bag_files import pictures as car_pictures
from tests.bag_files import write_recording
from tests.places import REPOSITORY
from tests.video_files import encode, pictures

Run = Callable[..., int]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: photos, a video, poses."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.png"):
        write_image(tmp_path / "photos" / name, pictures(1)[0])
    encode(tmp_path / "drive.mp4", pictures(6))
    (tmp_path / "poses.jsonl").write_text('{"stamp": 0.0, "heads": []}\n')
    return tmp_path


@pytest.fixture
def run(tiny_model_file: Path) -> Run:
    """The command line with a small model; returns the exit status."""

    def command(*arguments: object) -> int:
        model = [] if arguments[0] == "report" else ["--model", str(tiny_model_file)]
        return main([*map(str, arguments), *model])

    return command


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def other_names(original: Path) -> list[Path]:
    """Names for one file: itself, by the folder above, a link, a link of a link, a hard link."""
    folder = original.parent
    link, second, hard = (folder / f"{n}{original.suffix}" for n in ("link", "second", "hard"))
    link.symlink_to(original.name)
    second.symlink_to(link)
    hard.hardlink_to(original)
    (folder / "door").symlink_to(folder)
    others = [folder / ".." / folder.name / original.name, folder / "door" / original.name]
    return [original, link, second, hard, *others]


@pytest.mark.parametrize(
    ("command", "option", "source"),
    [
        ("video", "--out", "drive.mp4"),
        ("camera", "--out", "drive.mp4"),
        ("report", "--out", "poses.jsonl"),
        ("image", "--jsonl", "photos/a.jpg"),
    ],
)
def test_no_output_lies_on_an_input(
    here: Path, run: Run, capsys, command: str, option: str, source: str
) -> None:
    names = other_names(here / source)
    before = files(here)
    for name in names:
        assert run(command, source, option, name, *["--csv", "x.csv"] * (command == "video")) == 1
        told = capsys.readouterr().err
        assert "error: " in told and "would replace the input" in told
        assert files(here) == before


@pytest.mark.parametrize("option", ["--jsonl", "--csv"])
def test_records_do_not_replace_what_bears_their_ending(here: Path, run: Run, option: str) -> None:
    """A video may have any name."""
    ending = option.removeprefix("--")
    source = here / f"drive.{ending}"
    (here / "drive.mp4").rename(source)
    before = files(here)
    assert run("video", source, option, source) == 1
    assert files(here) == before


def test_a_report_does_not_replace_its_video(here: Path, run: Run, capsys) -> None:
    before = files(here)
    assert run("report", "poses.jsonl", "--video", "drive.mp4", "--out", "drive.mp4") == 1
    assert "would replace the input drive.mp4" in capsys.readouterr().err
    assert files(here) == before


def test_a_network_is_not_replaced(here: Path, tiny_model_file: Path, capsys) -> None:
    shutil.copy(tiny_model_file, here / "mine.jsonl")
    before = files(here)
    arguments = ["image", "photos", "--model", "mine.jsonl", "--jsonl", "mine.jsonl"]
    assert main(arguments) == 1
    assert "would replace the input mine.jsonl" in capsys.readouterr().err
    assert files(here) == before


def test_two_outputs_are_two_files(here: Path, run: Run, capsys) -> None:
    (here / "sub").mkdir()
    (here / "link.csv").symlink_to("link.jsonl")
    before = files(here)
    assert run("camera", "drive.mp4", "--jsonl", "poses.txt", "--csv", "sub/../poses.txt") == 1
    assert run("video", "drive.mp4", "--jsonl", "link.jsonl", "--csv", "link.csv") == 1
    assert capsys.readouterr().err.count("expected different files") == 2
    assert files(here) == before


class TestBags:
    @pytest.fixture(autouse=True)
    def bags(self, car_video: Path, here: Path) -> None:
        pytest.importorskip("rosbags", reason="needs rosbags")
        write_recording(here / "bag", car_pictures(car_video, 3))

    def test_no_bag_lies_on_or_in_one(self, here: Path, run: Run, capsys) -> None:
        (recording,) = (path for path in (here / "bag").iterdir() if path.suffix == ".mcap")
        (here / "other").symlink_to("bag")
        (here / "link.mcap").symlink_to(recording)
        before = files(here)
        for source in ("bag", recording):
            for out in (recording, "link.mcap", f"other/{recording.name}"):
                assert run("bag", source, "--out", out) == 1
                assert "would replace the input" in capsys.readouterr().err
        for out in ("bag/new.mcap", "other/new.mcap"):
            assert run("bag", "bag", "--out", out) == 1
            assert "would become part of the bag" in capsys.readouterr().err
        assert files(here) == before

    def test_a_bag_with_the_name_of_ours_stays(self, here: Path, run: Run, capsys) -> None:
        for _ in range(2):  # our own is made anew
            assert run("bag", "bag", "--out", "poses") == 0
        capsys.readouterr()
        (recording,) = (path for path in (here / "bag").iterdir() if path.suffix == ".mcap")
        shutil.copy(recording, here / "poses" / "bag_headpose.mcap")
        before = files(here)
        assert run("bag", "bag", "--out", "poses", "--csv", "new") == 1
        assert "bag_headpose.mcap in poses: there already" in capsys.readouterr().err
        assert files(here) == before

    def test_metadata_of_a_bag_are_a_part_of_it(self, here: Path, run: Run, capsys) -> None:
        (recording,) = (path for path in (here / "bag").iterdir() if path.suffix == ".mcap")
        (here / "poses.csv").symlink_to("bag/metadata.yaml")
        before = files(here)
        for source in ("bag", recording):
            assert run("bag", source, "--csv", "poses.csv") == 1
            assert "would replace the input" in capsys.readouterr().err
        assert run("report", "bag", "--out", "bag/metadata.yaml") == 1
        assert files(here) == before


def test_copies_of_an_earlier_run_are_left_out_and_made_anew(here: Path, run: Run, capsys) -> None:
    for expected in ("", "left out, annotated copies of an earlier run: a_headpose.jpg, b_he"):
        assert run("image", "photos", "--out", "photos") == 0
        told = capsys.readouterr()
        assert expected in told.err
        assert [json.loads(line)["image"] for line in told.out.splitlines()] == [
            "photos/a.jpg",
            "photos/b.png",
        ]
    assert sorted(path.name for path in (here / "photos").iterdir()) == [
        *("a.jpg", "a_headpose.jpg", "b.png", "b_headpose.jpg")
    ]
    assert run("image", "photos/a_headpose.jpg") == 1
    assert "there are only annotated copies" in capsys.readouterr().err


def test_a_copy_is_known_by_its_content(here: Path, run: Run, capsys) -> None:
    assert run("image", "photos", "--out", "photos", "--quiet") == 0
    (here / "photos" / "a_headpose.jpg").rename(here / "photos" / "holiday.jpg")
    assert run("video", "drive.mp4", "--out", "copies") == 0
    shutil.move(here / "copies" / "drive_headpose.mp4", here / "copies" / "film.mp4")
    assert run("image", "photos", "--quiet") == 0
    assert "earlier run: b_headpose.jpg, holiday.jpg" in capsys.readouterr().err
    assert run("video", "copies", "--jsonl", "-") == 1
    assert "earlier run: film.mp4" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["photos", "photos/a.jpg", "photos/[ab].*"])
def test_a_photo_with_the_name_of_a_copy_stays(here: Path, run: Run, capsys, given: str) -> None:
    """It may be read or not, it is the user's."""
    mine = here / "photos" / "a_headpose.jpg"
    write_image(mine, pictures(2)[1])
    before = files(here)
    assert run("image", given, "--out", "photos", "--jsonl", "p.jsonl") == 1
    assert "a_headpose.jpg in photos: there already" in capsys.readouterr().err
    assert files(here) == before
    assert run("image", given, "--out", "elsewhere", "--jsonl", "p.jsonl") == 0
    assert files(here)[mine] == before[mine]


def test_a_video_with_the_name_of_a_copy_stays(here: Path, run: Run, capsys) -> None:
    (here / "clips").mkdir()
    for name in ("a.mp4", "a_headpose.mp4"):
        encode(here / "clips" / name, pictures(4))
    before = files(here)
    for given in ("clips", "clips/a.mp4"):
        assert run("video", given, "--out", "clips", "--csv", "new") == 1
        assert "a_headpose.mp4 in clips: there already" in capsys.readouterr().err
    assert files(here) == before


def test_copies_bear_their_mark(here: Path, run: Run) -> None:
    assert run("image", "photos", "--out", "out", "--quiet") == 0
    assert run("video", "drive.mp4", "--out", "out/drive.mp4") == 0
    assert jpeg_comment((here / "out/a_headpose.jpg").read_bytes()) == MARK
    assert VideoReader(here / "out/drive.mp4").comment == MARK
    assert read_image(here / "out/a_headpose.jpg").shape == (480, 640, 3)


def test_long_names_get_copies(here: Path, run: Run) -> None:
    for stem in ("a" * 249, "é" * 124, "a" * 248 + "b"):
        write_image(here / "photos" / f"{stem}.png", pictures(1)[0])
    assert run("image", "photos", "--out", "out", "--quiet", "--jsonl", "p.jsonl") == 0
    assert len(list((here / "out").iterdir())) == 5


class TestStreams:
    """Devices, pipes, links and standard output are written to, and stay what they are."""

    @pytest.mark.parametrize("option", ["--jsonl", "--csv", "--out"])
    def test_a_pipe(self, here: Path, run: Run, option: str) -> None:
        os.mkfifo(here / "pipe")
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.append((here / "pipe").read_bytes()))
        reader.start()
        assert run("video", "drive.mp4", option, "pipe", "--quiet") == 0
        reader.join(10)
        assert stat.S_ISFIFO((here / "pipe").stat().st_mode)
        if option == "--out":
            (here / "read.mp4").write_bytes(read[0])
            assert len(list(VideoReader(here / "read.mp4"))) == 6
        else:
            assert len(read[0].splitlines()) == (6 if option == "--jsonl" else 1)

    @pytest.mark.parametrize("option", ["--jsonl", "--csv", "--out"])
    def test_a_device(self, here: Path, run: Run, option: str) -> None:
        try:
            os.mknod(here / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
            (here / "null").write_bytes(b"")
        except PermissionError:
            pytest.skip("only root may make devices")
        assert run("video", "drive.mp4", option, "null", "--quiet") == 0
        assert stat.S_ISCHR((here / "null").stat().st_mode)

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            (("image", "photos", "--jsonl"), "p.jsonl"),
            (("video", "drive.mp4", "--csv"), "p.csv"),
            (("video", "drive.mp4", "--out"), "p.mp4"),
            (("report", "poses.jsonl", "--out"), "p.html"),
        ],
    )
    @pytest.mark.parametrize("is_there", [True, False])
    def test_a_link(self, here: Path, run: Run, arguments, name: str, is_there: bool) -> None:
        (here / "target").mkdir()
        target, link = here / "target" / f"t{name}", here / name
        link.symlink_to(Path("target", f"t{name}"))
        if is_there:
            target.write_text("old")
            target.chmod(0o600)
        assert run(*arguments, name) == 0
        assert link.is_symlink()
        assert target.stat().st_size > 3
        if is_there:
            assert stat.S_IMODE(target.stat().st_mode) == 0o600
        assert [path.name for path in target.parent.iterdir()] == [target.name]

    @pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "out.link"])
    def test_standard_output(self, here: Path, tiny_model_file: Path, name: str) -> None:
        """As root a file of this name would take the place of /dev/stdout."""
        (here / "out.link").symlink_to("/proc/self/fd/1")
        (here / "log").write_text("before\n")
        command = [sys.executable, "-m", "headpose_core", "image", "photos", "--jsonl", name]
        with (here / "log").open("a") as log:
            variables = os.environ | {"PYTHONPATH": str(REPOSITORY)}
            model = ["--model", str(tiny_model_file), "--quiet"]
            subprocess.run([*command, *model], stdout=log, check=True, env=variables)
        first, *records = (here / "log").read_text().splitlines()
        assert first == "before"
        assert [json.loads(line)["image"] for line in records] == ["photos/a.jpg", "photos/b.png"]
        assert (here / "out.link").is_symlink()

    def test_another_open_file(self, here: Path) -> None:
        with (here / "log").open("w+") as log:
            log.write("before\n")
            log.flush()
            with text_file(Path(f"/dev/fd/{log.fileno()}")) as file:
                file.write("after\n")
        assert (here / "log").read_text() == "before\nafter\n"

    def test_a_video_on_standard_output(self, here: Path, run: Run, capfdbinary) -> None:
        assert run("video", "drive.mp4", "--out", "-", "--quiet") == 0
        (here / "read.mp4").write_bytes(capfdbinary.readouterr().out)
        assert len(list(VideoReader(here / "read.mp4"))) == 6

    @pytest.mark.parametrize("name", ["-", "/dev/stdout"])
    def test_standard_output_is_no_folder(self, here: Path, run: Run, capsys, name: str) -> None:
        assert run("image", "photos", "--out", name) == 1
        assert "expected a folder" in capsys.readouterr().err

    def test_standard_output_is_for_one(self, here: Path, run: Run, capsys) -> None:
        assert run("video", "drive.mp4", "--jsonl", "-", "--csv", "-") == 1
        assert run("camera", "drive.mp4", "--out", "-", "--jsonl", "/dev/stdout") == 1
        assert capsys.readouterr().err.count("expected different files") == 2


# What is run, the most bytes that a file may have, and which file is told.
FULL = [
    ("image photos --out out", 2500, "out/a_headpose.jpg"),
    ("image photos --jsonl p.jsonl", 50, "p.jsonl"),
    ("video long.mp4 --out p.mp4", 2500, "p.mp4"),
    ("video long.mp4 --jsonl p.jsonl", 2500, "p.jsonl"),
    ("video long.mp4 --csv p.csv --out p.mp4", 2500, "p.mp4"),
    ("camera long.mp4 --csv p.csv --jsonl p.jsonl", 2500, "p.csv"),
    ("report poses.jsonl --out p.html", 2500, "p.html"),
    ("bag bag --out p.mcap", 2500, "p.mcap"),
    ("bag bag --jsonl p.jsonl", 2500, "p.jsonl"),
]
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from headpose_core.commands.cli import main
most = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(("command", "most", "named"), FULL, ids=[one[0] for one in FULL])
def test_a_full_disk_is_said_and_leaves_nothing(
    here: Path, car_video: Path, tiny_model_file: Path, command: str, most: int, named: str
) -> None:
    """The limit of a process on its files is told in the same way, by another number."""
    arguments = command.split()
    images = car_pictures(car_video, 30)
    encode(here / "long.mp4", [image[:144, :192] for image in images])
    if arguments[0] == "bag":
        pytest.importorskip("rosbags", reason="needs rosbags")
        write_recording(here / "bag", images)
    before = files(here)
    if arguments[0] != "report":
        arguments += ["--model", str(tiny_model_file)]
    told = subprocess.run(
        [sys.executable, "-c", LIMITED, str(most), *arguments],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1, told.stderr
    assert "Traceback" not in told.stderr and "Exception ignored" not in told.stderr
    (error,) = (line for line in told.stderr.splitlines() if "error: " in line)
    assert error == f"headpose: error: {named}: File too large"
    assert files(here) == before


@pytest.mark.parametrize("option", ["--jsonl", "--csv", "--out"])
def test_a_full_device_is_said(here: Path, run: Run, capsys, option: str) -> None:
    (here / "full").symlink_to("/dev/full")
    assert run("video", "drive.mp4", option, "full") == 1
    assert "error: full: No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("image", "photos"), ("video", "drive.mp4")])
def test_standard_output_that_is_full_or_closed(
    here: Path, tiny_model_file: Path, command: tuple[str, ...]
) -> None:
    options = ["--model", str(tiny_model_file), *["--jsonl", "-"] * (command[0] == "video")]
    whole = [sys.executable, "-m", "headpose_core", *command, *options]
    variables = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    reading, writing = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    for stdout, expected in ((writing, "has gone"), (full, "No space")):
        told = subprocess.run(
            whole, stdout=stdout, stderr=subprocess.PIPE, text=True, env=variables
        )
        os.close(stdout)
        assert told.returncode == 1
        assert expected in told.stderr.splitlines()[-1], told.stderr


def test_a_full_file_system(here: Path, run: Run, capsys) -> None:
    (here / "small").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(here / "small")]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a file system")
    try:
        noise = np.random.default_rng(1).integers(0, 256, (6, 480, 640, 3), dtype=np.uint8)
        encode(here / "noise.mp4", list(noise))
        (here / "small" / "p.mp4").write_bytes(b"old")
        assert run("video", "noise.mp4", "--out", "small/p.mp4") == 1
        assert "error: small/p.mp4: No space left on device" in capsys.readouterr().err
        assert files(here / "small") == {here / "small" / "p.mp4": b"old"}
    finally:
        subprocess.run(["umount", here / "small"], check=True)


def test_a_failed_write_keeps_what_was_there(here: Path) -> None:
    (here / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic_write(here / "a.txt") as unfinished:
        unfinished.write_text("new")
        raise RuntimeError
    assert (here / "a.txt").read_text() == "old"
    with pytest.raises(IsADirectoryError), atomic_write(here / "photos"):
        pass
    assert not [path for path in here.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", ["a.txt", "b" * 255, "c", os.fsdecode(b"\xe9" * 255)])
def test_what_a_killed_process_left_is_removed(here: Path, name: str) -> None:
    (here / "link").symlink_to(name)
    (here / f".{name[:40]}.99").write_text("the user's")
    code = (
        "import os, sys; from pathlib import Path\n"
        "from headpose_core.output_files import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as unfinished:\n"
        "    unfinished.write_text('half'); print(os.getpid(), flush=True); os._exit(0)\n"
    )
    command = [sys.executable, "-c", code, str(here / name)]
    variables = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    child = int(subprocess.check_output(command, env=variables))
    assert len([path for path in here.iterdir() if path.name.startswith(".")]) == 2
    remove_unfinished(here / "link", child)
    assert [p.name for p in here.iterdir() if p.name.startswith(".")] == [f".{name[:40]}.99"]
