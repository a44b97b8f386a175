# SPDX-License-Identifier: Apache-2.0
"""What docs/security.md promises of the code: no shell, no network, no code from files."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from headpose_core.errors import ModelError
from headpose_core.onnx_files import onnx_file
from headpose_core.pose.head_pose_model import HeadPoseModel
from tests.places import REPOSITORY

# What runs where images come from strangers. Training is run by hand, on one's own files.
MODULES = sorted(
    path
    for path in REPOSITORY.glob("headpose_*/**/*.py")
    if not {"learning", "__pycache__"} & set(path.parts)
)
NETWORK = {"socket", "socketserver", "ssl", "asyncio", "http", "urllib", "ftplib", "smtplib"}
NETWORK |= {"xmlrpc", "webbrowser", "requests", "httpx", "aiohttp", "urllib3"}
CODE_FROM_FILES = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "code"}
PROCESSES = {"subprocess", "pty", "multiprocessing"}
FORBIDDEN_CALLS = {"eval", "exec", "compile"}
FORBIDDEN_OF_OS = {"system", "popen", "fork", "forkpty", "posix_spawn", "startfile"}
FORBIDDEN_ARGUMENTS = {"allow_pickle", "shell", "weights_only"}
# Commands, which the node never imports.
ALLOWED = {
    "headpose_core/commands/workers.py": {"multiprocessing"},  # several bags at once
    "headpose_core/benchmark/first_pose.py": {"subprocess"},  # how long a fresh Python takes
}


def breaches(source: str) -> set[str]:
    """What a module must not use, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module.split(".")[0]} & FORBIDDEN
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = node.attr
            if node.value.id == "os" and (
                name in FORBIDDEN_OF_OS or name.startswith(("exec", "spawn"))
            ):
                found.add(f"os.{name}")
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                found |= {node.func.id} & FORBIDDEN_CALLS
            found |= {word.arg for word in node.keywords if word.arg} & FORBIDDEN_ARGUMENTS
    return found


FORBIDDEN = NETWORK | CODE_FROM_FILES | PROCESSES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_shell_no_network_no_code_from_files(path: Path) -> None:
    assert breaches(path.read_text()) == ALLOWED.get(str(path.relative_to(REPOSITORY)), set())


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n    import urllib.request", "urllib"),
        ("from pickle import loads", "pickle"),
        ("import os\nos.execv('sh', [])", "os.execv"),
        ("numpy.load(path, allow_pickle=True)", "allow_pickle"),
        ("eval('1')", "eval"),
    ],
)
def test_breaches_are_found(source: str, found: str) -> None:
    assert breaches(source) == {found}


def test_a_model_is_a_regular_file_of_an_allowed_size(
    tmp_path: Path, tiny_model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe would hold the node up for ever, a device or a sparse file eat its memory."""
    pipe, sparse = tmp_path / "pipe.onnx", tmp_path / "sparse.onnx"
    os.mkfifo(pipe)
    with sparse.open("wb") as file:
        file.truncate(onnx_file.MAX_FILE_BYTES + 1)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(ModelError, match="expected a regular"):
            HeadPoseModel.load(path)
    with pytest.raises(ModelError, match="bytes, got 209715201"):
        HeadPoseModel.load(sparse)
    monkeypatch.setattr(onnx_file, "MAX_FILE_BYTES", tiny_model_file.stat().st_size)
    HeadPoseModel.load(tiny_model_file)
