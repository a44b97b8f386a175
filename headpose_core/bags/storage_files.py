# SPDX-License-Identifier: Apache-2.0
"""The files of a bag that hold messages, also when its recorder was killed.

Such a bag has no metadata.yaml, or one that does not know the last files; of files that are
compressed one by one the last is not compressed yet, or half.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from ruamel.yaml import YAML

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_ENDINGS = (".mcap", ".db3")
_PACKED = (".zstd", ".zst")
# What SQLite keeps beside a database until it is closed.
_BESIDE = ("-wal", "-journal")


def storage_files(bag: Path) -> tuple[list[Path], list[str]]:
    """The files in the order of recording, and what is to be said about them, as sentences.

    bag: a folder, or one of its files.
    """
    if not bag.is_dir():
        return [bag], []
    found, notes = _found(bag)
    listed, problem = _listed(bag)
    if problem:
        notes.append(f"{problem}: {len(found)} files are read in the order of their numbers")
        return list(found.values()), notes
    named: list[Path] = []
    for name in listed:
        if unpacked(name) in found:
            named.append(found.pop(unpacked(name)))
        else:
            notes.append(f"{name} is missing, metadata.yaml names it")
    series = {_series(path) for path in named}
    for path in found.values():
        belongs = _series(path) in series
        named += [path] if belongs else []
        told = "read, although" if belongs else "left out:"
        notes.append(f"{path.name} is {told} metadata.yaml does not name it")
    return named, notes


def unpacked(name: str) -> str:
    """The name of a file without the ending of its compression."""
    return name.removesuffix(PurePath(name).suffix) if name.endswith(_PACKED) else name


def made_readable(path: Path, make_folder: Callable[[], Path]) -> tuple[Path, str]:
    """The file, or a copy in a new folder that readers can open; and what is missing in it."""
    if path.name.endswith(_PACKED):
        return _decompressed(path, make_folder() / unpacked(path.name))
    beside = [Path(f"{path}{ending}") for ending in _BESIDE]
    if path.suffix == ".db3" and any(p.exists() and p.stat().st_size for p in beside):
        return _recovered(path, make_folder() / path.name), ""
    return path, ""


def _found(bag: Path) -> tuple[dict[str, Path], list[str]]:
    """Files with messages by their names without compression, in order; and what is left out."""
    found: dict[str, Path] = {}
    notes = []
    for path in sorted(bag.iterdir(), key=lambda p: (_number(p), p.name)):
        name = unpacked(path.name)
        if not path.is_file() or not set(_ENDINGS) & set(path.suffixes):
            continue
        if not name.endswith(_ENDINGS):
            notes.append(f"{path.name} is left out: expected an .mcap, .db3 or .zstd file")
        elif name in found:
            # Killed while it compressed the file: the one that is not compressed is whole.
            notes.append(f"{path.name} is left out: {found[name].name} holds the same")
        else:
            found[name] = path
    return found, notes


def _listed(bag: Path) -> tuple[list[str], str]:
    """Names of files in metadata.yaml, and why there are none."""
    path = bag / "metadata.yaml"
    if not path.exists():
        return [], "there is no metadata.yaml"
    try:
        about: Any = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        names = about["rosbag2_bagfile_information"]["relative_file_paths"]
        return [PurePath(name).name for name in names], ""
    except (
        Exception
    ) as error:  # YAML's own errors, and what a damaged one makes of the lines above
        return [], f"metadata.yaml cannot be read ({str(error).splitlines()[0]})"


def _number(path: Path) -> int:
    """As recorders number the files of a bag; -1 without one."""
    numbers = re.findall(r"\d+", Path(unpacked(path.name)).stem)
    return int(numbers[-1]) if numbers else -1


def _series(path: Path) -> str:
    """What the files of a recording have in common."""
    return re.sub(r"\d+$", "", Path(unpacked(path.name)).stem)


def _decompressed(path: Path, copy: Path) -> tuple[Path, str]:
    """As much of a file as comes out."""
    with path.open("rb") as packed, zstd.open(packed) as file, copy.open("wb") as out:
        try:
            while data := file.read1(1 << 20):
                out.write(data)
        except (zstd.ZstdError, EOFError) as error:
            return copy, f"its compression is damaged ({error})"
    return copy, ""


def _recovered(path: Path, copy: Path) -> Path:
    """A copy with the messages that the recorder had not moved into the file yet."""
    shutil.copyfile(path, copy)
    for ending in _BESIDE:
        if Path(f"{path}{ending}").exists():
            shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
    try:
        database = sqlite3.connect(copy)
        database.execute("PRAGMA journal_mode = DELETE")
        database.close()
    except sqlite3.Error:
        pass  # damaged, which its reader says
    return copy
