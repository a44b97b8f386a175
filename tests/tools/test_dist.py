# SPDX-License-Identifier: Apache-2.0
"""The distributions: what is in them, and that they run where the repository is not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

import headpose_core
from headpose_core.images.image_files import write_image
from tests.bag_files import pictures, write_recording
from tests.places import REPOSITORY
from tools.setup_steps import FOREIGN

VERSION = headpose_core.__version__


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "tools.dist", "--out", str(out)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return out


def one(dist: Path, pattern: str) -> Path:
    (found,) = dist.glob(pattern)
    return found


def test_wheel_has_all_that_is_needed_and_nothing_else(dist: Path) -> None:
    names = zipfile.ZipFile(one(dist, "*.whl")).namelist()
    assert one(dist, "*.whl").name == f"headpose_ehpnet-{VERSION}-py3-none-any.whl"
    for needed in (
        "headpose_core/py.typed",
        "headpose_core/weights/ehpnet_resnet18.onnx",
        "headpose_core/weights/MODEL_CARD.md",
        "headpose_core/msg/HeadPose.msg",
        "headpose_core/msg/HeadPoseArray.msg",
        "headpose_core/bags/reader.py",
        "headpose_core/report/page.py",
    ):
        assert needed in names
    assert {name.split("/")[0] for name in names} == {
        "headpose_core",
        f"headpose_ehpnet-{VERSION}.dist-info",
    }
    modules = {str(p.relative_to(REPOSITORY)) for p in REPOSITORY.glob("headpose_core/**/*.py")}
    tracked = set(
        subprocess.check_output(["git", "ls-files"], cwd=REPOSITORY, text=True).split("\n")
    )
    assert modules & tracked <= set(names)


def test_source_has_the_definitions(dist: Path) -> None:
    with tarfile.open(one(dist, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"msg/HeadPose.msg", "setup.py", "pyproject.toml", "LICENSE", "README.md"} <= names
    assert not [name for name in names if name.startswith(("tests", "training", ".venv", "out"))]


def test_wheel_and_cmake_install_the_same_library(dist: Path) -> None:
    """Modules, definitions of the messages and weights; CMake has installed them in `.venv`."""
    packages = Path(sysconfig.get_path("purelib"))
    installed = {
        path.relative_to(packages).as_posix()
        for path in (packages / "headpose_core").rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    if not installed:
        pytest.skip("needs the environment of `make test`, which CMake installs into")
    unknown = ["git", "ls-files", "--others", "--exclude-standard", "headpose_core"]
    installed -= set(subprocess.check_output(unknown, cwd=REPOSITORY, text=True).split("\n"))
    names = zipfile.ZipFile(one(dist, "*.whl")).namelist()
    assert installed == {name for name in names if name.startswith("headpose_core/")}
    assert {Path(name).suffix for name in installed} >= {".py", ".msg", ".onnx", ".typed"}


@pytest.mark.long
def test_wheel_runs_in_an_empty_environment(
    dist: Path, car_video: Path, astronaut: np.ndarray, tmp_path: Path
) -> None:
    variables = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, env=variables)
    wheel = f"{one(dist, '*.whl')}[cpu,bags,report]"
    pip = [tmp_path / "venv/bin/python", "-m", "pip", "install", "-qq"]
    subprocess.run([*pip, "-c", REPOSITORY / "constraints.txt", wheel], check=True, env=variables)
    write_image(tmp_path / "photo.jpg", astronaut)
    write_recording(tmp_path / "drive", pictures(car_video, 5))

    def headpose(*arguments: str) -> str:
        command = [tmp_path / "venv/bin/headpose", *arguments]
        return subprocess.check_output(command, cwd=tmp_path, env=variables, text=True)

    told = json.loads(headpose("info", "--json"))
    assert told["headpose"] == VERSION
    assert str(tmp_path) in told["shipped_models"][0]["file"]
    (head,) = json.loads(headpose("image", "photo.jpg", "--out", "out"))["heads"]
    assert abs(head["direction"]["left_deg"]) < 30
    headpose("bag", "drive", "--out", "poses.mcap", "--debug-images")
    headpose("report", "poses.mcap", "--out", "report.html")
    assert "data:image/jpeg" in (tmp_path / "report.html").read_text()


def test_one_version_everywhere() -> None:
    package = (REPOSITORY / "package.xml").read_text()
    assert re.search("<version>(.+)</version>", package)[1] == VERSION
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_changelog_is_one_that_bloom_reads() -> None:
    changelog = pytest.importorskip("catkin_pkg.changelog", reason="needs catkin_pkg")
    text = (REPOSITORY / "CHANGELOG.rst").read_text()
    # What catkin_prepare_release does, and a first release: a lone section would become a title.
    tagged = text.replace("Forthcoming\n-----------\n", "9.0.0 (2030-01-01)\n------------------\n")
    tagged += "\n0.0.1 (2020-01-01)\n------------------\n* The beginning.\n"
    found = changelog.populate_changelog_from_rst(changelog.Changelog("headpose_ros"), tagged)
    versions = [version for version, date, content in found.foreach_version()]
    assert versions[0] == "0.0.1"
    assert versions[-1] == "9.0.0"
    (bullets,) = found.get_content_of_version("9.0.0")
    assert len(bullets.bullets) == text.count("\n* ")


@pytest.mark.parametrize(
    "name",
    [".pre-commit-config.yaml", ".github/workflows/ci.yaml", ".github/ISSUE_TEMPLATE/bug.yaml"],
)
def test_files_for_services_are_yaml(name: str) -> None:
    assert yaml.safe_load((REPOSITORY / name).read_text())


def test_pre_commit_has_the_same_ruff() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    (revision,) = (hook["rev"] for hook in hooks if "ruff" in hook["repo"])
    assert f"ruff=={revision.removeprefix('v')}\n" in (REPOSITORY / "constraints.txt").read_text()
