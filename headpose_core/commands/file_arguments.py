# SPDX-License-Identifier: Apache-2.0
"""Files that a command reads and writes, as its arguments name them."""

from __future__ import annotations

import argparse
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from headpose_core.commands.copies import is_copy
from headpose_core.commands.terminal import say
from headpose_core.output_files import descriptor, is_stream

_NAMES_SHOWN = 5
_LONGEST_STEM = 200  # bytes, of the 255 that names may have
_COPIES = (".jpg", ".mcap", ".mp4")
_BAGS = (".mcap", ".db3")


def found_files(given: Sequence[str], endings: Sequence[str]) -> list[Path]:
    """The files that arguments name: files, folders of files with these endings, or patterns.

    What does not exist is kept, for whoever opens it to complain. What a folder holds besides and
    annotated copies of an earlier run are left out, and that is said. Raises ValueError for a
    folder or a pattern without such files, and when nothing is left.
    """
    named = dict.fromkeys(path for text in given for path in _named_by(text, endings))
    files = [path for path in named if not is_copy(path)]
    copies = [path for path in named if path not in set(files)]
    if copies:
        say(f"left out, annotated copies of an earlier run: {_in_words(copies)}")
    if not files:
        raise ValueError("expected files to read, there are only annotated copies")
    return files


def _named_by(text: str, endings: Sequence[str]) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        return _in_folder(path, endings)
    if path.exists() or path.is_symlink() or not glob.has_magic(text):
        return [path]
    here = sorted(map(Path, glob.glob(text, recursive=True)))  # noqa: PTH207 (as a shell does)
    if not here:
        raise ValueError(f"{text}: expected a pattern of files, nothing is like it")
    files = [path for path in here if not path.is_dir()]
    return files or [file for folder in here for file in _in_folder(folder, endings)]


def _in_folder(folder: Path, endings: Sequence[str]) -> list[Path]:
    inside = sorted(folder.iterdir())
    files = [path for path in inside if path.suffix.lower() in endings]
    taken = set(files)
    others = [p for p in inside if p not in taken and not p.name.startswith(".")]
    if others:
        kinds = Counter(p.suffix.lower() or ("folder" * p.is_dir() or "other") for p in others)
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        say(f"{folder}: left out {counts}: {_in_words(others)}")
    if not files:
        raise ValueError(f"{folder}: expected files ending in {', '.join(endings)}")
    return files


def _in_words(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - _NAMES_SHOWN} more" if len(paths) > _NAMES_SHOWN else ""
    return ", ".join(path.name for path in paths[:_NAMES_SHOWN]) + more


def named_like(sources: Sequence[Path], folder: Path, ending: str) -> list[Path]:
    """A path in the folder for each source: no two alike, and none like a source's own name.

    Raises ValueError when a picture, video or bag would take the place of one of the user's.
    """
    names: Counter[str] = Counter()
    targets = []
    for source in sources:
        stem = source.stem
        if len(os.fsencode(stem)) > _LONGEST_STEM:
            stem = os.fsencode(stem)[:_LONGEST_STEM].decode(errors="ignore")
        names[stem] += 1
        count = f"_{names[stem]}" if names[stem] > 1 else ""
        targets.append(folder / f"{stem}_headpose{count}{ending}")
    others = [path for path in targets if ending in _COPIES and path.exists()]
    others = [path for path in others if not is_copy(path)]
    if others:
        raise ValueError(
            f"{_in_words(others)} in {folder}: there already, without the mark of what headpose "
            "writes; it would be replaced: give another folder"
        )
    return targets


@dataclass(frozen=True)
class Outputs:
    """The files to write for one input, None for those that nobody asked for.

    out: a video or a bag. jsonl, csv: the poses as text.
    """

    out: Path | None
    jsonl: Path | None
    csv: Path | None


def outputs(args: argparse.Namespace, sources: Sequence[Path], ending: str) -> list[Outputs]:
    """What the options --out, --jsonl and --csv ask for, for each source.

    ending: of --out. Raises ValueError when nothing is asked for, one file is named for many
    sources, or what is read would be replaced.
    """
    if not (args.out or args.jsonl or args.csv):
        raise ValueError("nothing to write: give --out, --jsonl or --csv")
    given = ((args.out, ending), (args.jsonl, ".jsonl"), (args.csv, ".csv"))
    columns = [_for_each(sources, path, suffix) for path, suffix in given]
    check_outputs(
        [*sources, args.model, args.detector_model], [path for row in columns for path in row]
    )
    return [Outputs(*row) for row in zip(*columns, strict=True)]


def check_outputs(inputs: Iterable[Path | None], outputs: Iterable[Path | None]) -> None:
    """Raise ValueError when an output would replace what is read, or another output.

    Both sides are followed through links. Of a bag all files count, those beside a file that is
    named, too, and no bag may be written into the folder of one that is read.
    """
    read = {_identity(file): file for path in inputs if path for file in _files_of(path)}
    folders = {folder for path in inputs if path and path.is_dir() for folder in [_whole(path)]}
    written: dict[object, Path] = {}
    for path in filter(None, outputs):
        if path.is_char_device() and descriptor(path) is None:
            continue  # /dev/null takes all
        number = descriptor(path)
        identity = _identity(path) if number is None else number
        if identity in read:
            told = f"the output would replace the input {read[identity]}"
            raise ValueError(f"{path}: {told}, give another name")
        if path.suffix in _BAGS and folders & {*_whole(path).parents}:
            raise ValueError(f"{path}: the output would become part of the bag that is read")
        if identity in written:
            raise ValueError(f"{path}: expected different files, {written[identity]} is the same")
        written[identity] = path


def _files_of(path: Path) -> Iterator[Path]:
    """What must stay as it is for an input to stay as it is."""
    if path.is_dir():
        yield from (file for file in path.rglob("*") if not file.is_dir())
        return
    yield path
    if path.suffix in _BAGS and (path.parent / "metadata.yaml").exists():
        yield from (file for file in path.parent.iterdir() if not file.is_dir())


def _identity(path: Path) -> object:
    """The same for all names and links of one file."""
    try:
        found = path.stat()
    except OSError:
        return _whole(path)
    return found.st_dev, found.st_ino


def _whole(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _for_each(sources: Sequence[Path], given: Path | None, ending: str) -> Sequence[Path | None]:
    """``given`` for a single source, else files in a folder of that name."""
    if given is None:
        return [None] * len(sources)
    if is_stream(given) or (given.suffix.lower() == ending and not given.is_dir()):
        if len(sources) > 1:
            raise ValueError(f"{given}: expected a folder, there are {len(sources)} inputs")
        return [given]
    if not given.is_dir() and (given.exists() or given.suffix):
        raise ValueError(f"{given}: expected the name of a {ending} file or a folder")
    return named_like(sources, given, ending)
