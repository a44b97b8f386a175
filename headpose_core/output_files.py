# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all, and outputs that are no such files.

What a name stands for is never replaced by something else: a link stays a link and its target is
written, a device or a pipe is written into, and ``-`` is standard output. Where what can be made
again is kept is said here, too.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

STANDARD_OUTPUT = Path("-")
_LINKS_FOLLOWED = 40  # as Linux does
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, with the same ending, to be written in the block.

    When the block ends, the file takes the place of ``path`` in one step; when it fails, the file
    goes and what was at ``path`` before stays. Of a link the target is written. Into a device, a
    pipe or standard output the file is copied at the end. Raises OSError when that cannot be done.
    """
    if is_stream(path):
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder, f"stream{path.suffix}")
            yield temporary
            with temporary.open("rb") as file, byte_stream(path) as stream:
                shutil.copyfileobj(file, stream)
        return
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OSError(errno.EISDIR, "expected the name of a file, this is a folder", str(path))
    temporary = _unfinished(target, os.getpid())
    try:
        with told_by_name(path):
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            with suppress(FileNotFoundError, PermissionError):
                shutil.copymode(target, temporary)  # who may read it stays as it is
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(path: Path, process: int) -> None:
    """Remove what ``atomic_write`` left beside ``path`` in a process that was killed."""
    _unfinished(Path(os.path.realpath(path)), process).unlink(missing_ok=True)


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """A text file that appears when the block ends; its folder is made.

    A device, a pipe and standard output, which is also "-", get each line as it comes.
    """
    with told_by_name(path):
        if descriptor(path) == 1:
            yield sys.stdout
            sys.stdout.flush()
        elif is_stream(path):
            with byte_stream(path) as stream:
                text = os.fdopen(os.dup(stream.fileno()), "w", 1, "utf-8", "backslashreplace")
                with text:
                    yield text
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with (
                atomic_write(path) as unfinished,
                unfinished.open("w", encoding="utf-8", errors="backslashreplace") as file,
            ):
                yield file


@contextmanager
def byte_stream(path: Path) -> Iterator[BinaryIO]:
    """A device, a pipe or standard output, for bytes."""
    number = descriptor(path)
    with told_by_name(path):
        if number is None:
            with path.open("wb") as file:
                yield file
            return
        if number == 1:
            sys.stdout.flush()  # what was printed comes first
        with os.fdopen(os.dup(number), "wb") as file:
            yield file


@contextmanager
def told_by_name(path: Path) -> Iterator[None]:
    """That the disk is full, or a limit of the user's reached, says which file it was."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            name = "standard output" if path == STANDARD_OUTPUT else str(path)
            raise OSError(error.errno, os.strerror(error.errno), name) from error
        raise


def is_stream(path: Path) -> bool:
    """Whether this is standard output, an open file of this process, a device or a pipe.

    Those are written as they are; nothing can take their place.
    """
    if descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def descriptor(path: Path) -> int | None:
    """The number of the open file that "-", /dev/stdout, /dev/fd/3 or a link to them mean.

    Followed to the end they would be the file behind it, which is not to be begun anew.
    """
    if path == STANDARD_OUTPUT:
        return 1
    ours = os.path.realpath("/proc/self/fd")
    for _ in range(_LINKS_FOLLOWED):
        folder = Path(os.path.realpath(path.parent))
        if str(folder) == ours and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = folder / path.readlink()
    return None


def cache_folder() -> Path:
    """~/.cache/headpose, or where XDG_CACHE_HOME says that caches are; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "headpose"


def _unfinished(target: Path, process: int) -> Path:
    """A hidden name beside the target, with its ending, of no more than 255 bytes."""
    number = zlib.crc32(os.fsencode(target.name))
    return target.with_name(f".{target.stem[:40]}.{process}.{number:x}{target.suffix[:20]}")
