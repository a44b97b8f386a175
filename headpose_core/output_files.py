# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all, and where what can be made again is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, with the same ending, to be written in the block.

    When the block ends, the file takes the place of ``path`` in one step; when it fails, the file
    goes and what was at ``path`` before stays. Raises OSError when that cannot be done.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def cache_folder() -> Path:
    """~/.cache/headpose, or where XDG_CACHE_HOME says that caches are; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "headpose"
