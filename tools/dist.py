# SPDX-License-Identifier: Apache-2.0
"""Builds dist/: a source distribution, and from that the wheel, so that the source is complete.

make dist
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tools.setup_stage import REPOSITORY


def main() -> int:
    parser = argparse.ArgumentParser(prog="make dist", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist")
    out = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        copy_tracked(source)
        sdist = build(source, "sdist", out)
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        unpacked = Path(folder, sdist.name.removesuffix(".tar.gz"))
        wheel = build(unpacked, "wheel", out)
    for path in (sdist, wheel):
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def copy_tracked(target: Path) -> None:
    """The files that git knows, as they are in the work tree: nothing else gets in by accident."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    for name in filter(None, listing.split("\0")):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)


def build(source: Path, kind: str, out: Path) -> Path:
    """What setuptools makes of a source folder: "sdist" or "wheel"."""
    from setuptools import build_meta

    here = Path.cwd()
    os.chdir(source)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            name: str = getattr(build_meta, f"build_{kind}")(str(out))
    finally:
        os.chdir(here)
    return out / name


if __name__ == "__main__":
    sys.exit(main())
