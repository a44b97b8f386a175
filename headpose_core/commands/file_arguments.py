# SPDX-License-Identifier: Apache-2.0
"""Files that a command reads and writes, as its arguments name them."""

from __future__ import annotations

import argparse
import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


def found_files(given: Sequence[str], suffixes: Sequence[str]) -> list[Path]:
    """The files that arguments name: files, folders of files with these endings, or patterns.

    What does not exist is kept, for whoever opens it to complain. Raises ValueError for a folder
    or a pattern without such files.
    """
    files: list[Path] = []
    for text in given:
        path = Path(text)
        if path.is_dir():
            here = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes)
            if not here:
                raise ValueError(f"{path}: expected files ending in {', '.join(suffixes)}")
        elif not path.exists() and glob.has_magic(text):
            here = sorted(map(Path, glob.glob(text, recursive=True)))  # noqa: PTH207 (as a shell does)
            if not here:
                raise ValueError(f"{text}: expected a pattern of files, nothing is like it")
        else:
            here = [path]
        files += here
    return files


def named_like(sources: Sequence[Path], folder: Path, ending: str) -> list[Path]:
    """A path in the folder for each source: no two alike, and none like a source's own name."""
    names: Counter[str] = Counter()
    targets = []
    for source in sources:
        names[source.stem] += 1
        count = f"_{names[source.stem]}" if names[source.stem] > 1 else ""
        targets.append(folder / f"{source.stem}_headpose{count}{ending}")
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
    sources, or a source would be replaced.
    """
    if not (args.out or args.jsonl or args.csv):
        raise ValueError("nothing to write: give --out, --jsonl or --csv")
    given = ((args.out, ending), (args.jsonl, ".jsonl"), (args.csv, ".csv"))
    columns = (_for_each(sources, path, suffix) for path, suffix in given)
    return [Outputs(*row) for row in zip(*columns, strict=True)]


def _for_each(sources: Sequence[Path], given: Path | None, ending: str) -> Sequence[Path | None]:
    """``given`` for a single source, else files in a folder of that name."""
    if given is None:
        return [None] * len(sources)
    if given.suffix == ending or str(given) == "-":
        if len(sources) > 1:
            raise ValueError(f"{given}: expected a folder, there are {len(sources)} inputs")
        if given.exists() and given.samefile(sources[0]):
            raise ValueError(f"{given}: the output would replace the input, give another name")
        return [given]
    if given.is_file() or given.suffix:
        raise ValueError(f"{given}: expected the name of a {ending} file or a folder")
    return named_like(sources, given, ending)
