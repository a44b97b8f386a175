# SPDX-License-Identifier: Apache-2.0
"""What a machine needs before the environment can be built. Runs on any Python from 3.7 on."""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

PYTHONS = ((3, 10), (3, 13))  # the first and the last that the ROS 2 wheels are built for
CMAKE = (3, 19)
GLIBC = (2, 28)  # manylinux_2_28


def what_is_missing() -> list[str]:
    """A sentence for each thing that is missing, with the way to get it; empty: all is there."""
    return [
        sentence
        for sentence in (platform_problem(), python_problem(), *tool_problems(), venv_problem())
        if sentence
    ]


def platform_problem() -> str:
    here = f"{platform.system()} {platform.machine()}"
    if here != "Linux x86_64":
        return (
            f"The wheels of ROS 2 exist for Linux x86_64 only, this is {here}. Install ROS 2 and "
            "build the package with colcon instead (make build)."
        )
    library, version = platform.libc_ver()
    if library != "glibc" or numbers(version) < GLIBC:
        return (
            f"The wheels of ROS 2 need glibc {dotted(GLIBC)} or later, this machine has "
            f"{library or 'another C library'} {version}. Use Debian 10, Ubuntu 20.04 or later."
        )
    return ""


def python_problem() -> str:
    first, last = PYTHONS
    if platform.python_implementation() == "CPython" and first <= sys.version_info[:2] <= last:
        return ""
    here = f"{platform.python_implementation()} {platform.python_version()}"
    return (
        f"CPython {dotted(first)} to {dotted(last)} is needed, this is {here}. "
        f"Name another one: make demo PYTHON=python3.12"
    )


def venv_problem() -> str:
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return ""
    return f"Python's venv module is missing: apt install {apt_python()}-venv"


def tool_problems() -> list[str]:
    """Compiler, CMake, make and Python's headers, which building messages needs."""
    problems = []
    if not (shutil.which("c++") and shutil.which("cc")):
        problems.append(
            "A C and C++ compiler is missing: apt install g++ (Fedora: dnf install gcc-c++)"
        )
    if not shutil.which("make"):
        problems.append("make is missing: apt install make")
    if cmake_version() < CMAKE:
        problems.append(f"CMake {dotted(CMAKE)} or later is missing: apt install cmake, or pip")
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
        problems.append(
            f"The C headers of this Python are missing: apt install {apt_python()}-dev "
            "(Fedora: dnf install python3-devel)"
        )
    return problems


def cmake_version() -> tuple[int, ...]:
    """(0,) where there is none."""
    if not shutil.which("cmake"):
        return (0,)
    text = subprocess.run(["cmake", "--version"], stdout=subprocess.PIPE).stdout.decode()
    return numbers(text)


def apt_python() -> str:
    return f"python{sys.version_info[0]}.{sys.version_info[1]}"


def numbers(text: str) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0,)


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
