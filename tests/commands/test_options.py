# SPDX-License-Identifier: Apache-2.0
"""Every number on the command line has its range: what is outside ends with 2 and one line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headpose_core.commands.arguments import Number
from headpose_core.commands.cli import command_parser, main, parsed
from headpose_core.images.image_files import write_image
from tests.video_files import encode, pictures

COMMANDS = {
    "image": ["photo.png"],
    "video": ["drive.mp4", "--jsonl", "-"],
    "camera": ["drive.mp4", "--jsonl", "-"],
    "bag": ["drive", "--jsonl", "-"],
    "report": ["poses.jsonl", "--out", "report.html"],
    "bench": [],
    "info": [],
}
ODD = ["nan", "inf", "-inf", "1e999", "-0", "", " ", "0x10", "1_000", "٣", "1e-320", "9" * 5000]
ODD += ["-1", "100000", "1e9", "--", "-", "1,5", "½", "\0", "1e308", "True", "%s", "1 2"]


def subcommands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (
        one for one in command_parser()._actions if isinstance(one, argparse._SubParsersAction)
    )
    return dict(action.choices)


def numbers() -> Iterator[tuple[str, argparse.Action]]:
    """Every option that takes numbers, of every subcommand."""
    for name, parser in subcommands().items():
        for action in parser._actions:
            if isinstance(action.type, Number):
                yield name, action


NUMBERS = [(name, action.option_strings[0], action) for name, action in numbers()]
texts = (
    st.sampled_from(ODD)
    | st.floats().map(repr)
    | st.integers().map(str)
    | st.text(max_size=8)
    | st.integers(-(10**400), 10**400).map(str)
)


def test_all_subcommands_are_here() -> None:
    assert subcommands().keys() == COMMANDS.keys()
    assert {name for name, _, _ in NUMBERS} == COMMANDS.keys()
    assert len(NUMBERS) > 30


def test_no_option_takes_any_number() -> None:
    for name, parser in subcommands().items():
        for action in parser._actions:
            assert action.type in (None, Path) or isinstance(action.type, Number), (name, action)


@pytest.mark.parametrize(
    ("command", "option", "action"), NUMBERS, ids=[f"{c}{o}" for c, o, _ in NUMBERS]
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_numbers_are_in_range_or_refused(
    command: str, option: str, action: argparse.Action, data: st.DataObject, capsys
) -> None:
    """Either a number within the limits, or status 2 and the limits in one line."""
    kind = action.type
    assert isinstance(kind, Number)
    count = action.nargs if isinstance(action.nargs, int) else 1
    given_texts = data.draw(st.lists(texts, min_size=count, max_size=count))
    value = [f"{option}={given_texts[0]}"] if count == 1 else [option, *given_texts]
    try:
        args = parsed([command, *COMMANDS[command], *value])
    except SystemExit as end:
        assert end.code == 2
        told = capsys.readouterr()
        assert not told.out
        assert told.err.count("error: ") == 1 and "Traceback" not in told.err
        error = told.err[told.err.index("error: ") :]
        assert len(error) < 300
        assert "expected" in error or "unrecognized" in error or "the following" in error
        return
    got = getattr(args, action.dest)
    for number in got if count > 1 else [got]:
        assert type(number) is kind.kind
        assert math.isfinite(number)
        assert kind.low <= number <= kind.high


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    write_image(folder / "photo.png", pictures(1, (320, 240))[0])
    encode(folder / "drive.mp4", pictures(3))
    (folder / "poses.jsonl").write_text('{"stamp": 0.0, "heads": []}\n')
    return folder


def edges() -> list[tuple[str, str, list[str]]]:
    """The least and the most that each option takes."""
    found = []
    for command, option, action in NUMBERS:
        kind = action.type
        assert isinstance(kind, Number)
        for value in (kind.low, kind.high):
            count = action.nargs if isinstance(action.nargs, int) else 1
            found.append((command, option, [str(kind.kind(value))] * count))
    return found


@pytest.mark.parametrize(
    ("command", "option", "values"),
    [edge for edge in edges() if edge[0] in ("image", "video", "report")],
    ids=str,
)
def test_the_ends_of_ranges_can_be_used(
    media: Path,
    tmp_path: Path,
    tiny_model_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys,
    command: str,
    option: str,
    values: list[str],
) -> None:
    """They work, or it is said why not."""
    monkeypatch.chdir(media)
    arguments = {
        "image": ["photo.png", "--out", tmp_path / "out"],
        "video": ["drive.mp4", "--out", tmp_path / "a.mp4"],
        "report": ["poses.jsonl", "--out", tmp_path / "r.html"],
    }[command]
    model = [] if command == "report" else ["--model", tiny_model_file, "--quiet"]
    status = main([command, *map(str, [*arguments, *model]), option, *values])
    errors = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert (status, len(errors)) in {(0, 0), (1, 1)}
    if status:
        assert option == "--zoom"
        assert "expected up to" in errors[0] or "cannot write a video" in errors[0]


@pytest.mark.parametrize("size", [(4, 4000), (4000, 4), (16, 16), (4096, 8)])
@pytest.mark.parametrize("command", ["image", "video"])
def test_copies_of_thin_images_stay_small(
    tmp_path: Path, tiny_model_file: Path, capsys, command: str, size: tuple[int, int]
) -> None:
    """Enlarged until the shorter side is readable they would have 900 megapixels."""
    if command == "image":
        write_image(tmp_path / "a.png", pictures(1, size)[0])
        arguments = [tmp_path / "a.png", "--out", tmp_path / "out"]
    else:
        encode(tmp_path / "a.mkv", pictures(2, size))
        arguments = [tmp_path / "a.mkv", "--out", tmp_path / "out.mp4"]
    model = ["--model", tiny_model_file, "--quiet"]
    status = main([command, *map(str, [*arguments, *model])])
    told = capsys.readouterr().err
    assert (status, "error: " in told) == (0, False), told


@given(st.integers(), st.integers(), st.integers(1, 1000), texts)
@example(0, 270, 90, "45")
@example(0, 270, 90, "180")
def test_numbers_in_steps(low: int, high: int, step: int, text: str) -> None:
    kind = Number(low, high, int, step)
    try:
        value = kind(text)
    except argparse.ArgumentTypeError as error:
        assert "expected a whole number" in str(error)
        assert (" in steps of " in str(error)) == (step > 1)
    else:
        assert low <= value <= high and (value - low) % step == 0
