# SPDX-License-Identifier: Apache-2.0
"""Every command and snippet of the documentation is run, or says what it needs."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rosbags", reason="needs rosbags")
pytest.importorskip("plotly", reason="needs plotly")

from headpose_core.images.image_files import write_image
from headpose_core.images.video import write_video
from tests.bag_files import pictures, write_recording
from tests.docs.blocks import PAGES, REPOSITORY, Block, blocks

LANGUAGES = {"bash", "python", "text", "yaml", "json", "ini", "cmake", "xml"}
ALL = [block for page in PAGES for block in blocks(page)]
RUN = [block for block in ALL if block.language in ("bash", "python") and not block.kind]


# What pip installs, with a small network where one is taken: it is there ten times as fast.
SHIM = """#!{python}
import sys
from headpose_core.commands.cli import main

if __name__ == "__main__":
    takes_model = sys.argv[1:] and sys.argv[1] in ("image", "video", "camera", "bag", "info")
    sys.exit(main(sys.argv[1:] + ["--model", "{model}"] * takes_model))
"""


@pytest.fixture(scope="module")
def workshop(
    car_video: Path,
    astronaut: np.ndarray,
    tiny_model_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with a photo, a folder of photos, a video and a bag, as the pages name them."""
    folder = tmp_path_factory.mktemp("workshop")
    write_image(folder / "photo.jpg", astronaut)
    (folder / "photos").mkdir()
    write_image(folder / "photos" / "one.jpg", astronaut)
    images = pictures(car_video, 8)
    with write_video(folder / "drive.mp4", 30.0) as writer:
        for image in images:
            writer.write(image)
    write_recording(folder / "drive", images)
    write_recording(folder / "drive2", images[:4])
    shim = folder / "bin" / "headpose"
    shim.parent.mkdir()
    shim.write_text(SHIM.format(python=sys.executable, model=tiny_model_file))
    shim.chmod(0o755)
    (folder / "examples").symlink_to(REPOSITORY / "examples")
    return folder


@pytest.fixture(scope="module")
def names() -> dict[Path, dict[str, Any]]:
    """What the blocks of a page have defined; they build upon each other."""
    return {page: {"__name__": "documentation"} for page in PAGES}


@pytest.mark.parametrize("block", RUN, ids=str)
def test_block_runs(
    block: Block, workshop: Path, names: dict[Path, dict[str, Any]], monkeypatch
) -> None:
    monkeypatch.chdir(workshop)
    if block.language == "python":
        exec(compile(block.text, str(block), "exec"), names[block.page])
        return
    variables = os.environ | {
        "PATH": os.pathsep.join(
            [str(workshop / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        ),
        "PYTHONPATH": str(REPOSITORY),
    }
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    result = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_say_what_they_are(page: Path) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, (
            f"{block}: say ```bash or ```text; before a block that cannot be run here "
            "<!-- needs: what it needs -->"
        )
        if block.kind == "needs":
            assert block.argument, str(block)
        if block.language == "python":
            ast.parse(block.text)  # those that are not run, too
        elif block.language == "yaml":
            yaml.safe_load(block.text)
        elif block.language == "json":
            json.loads(block.text)


@pytest.mark.parametrize("block", [b for b in ALL if b.kind == "file"], ids=str)
def test_block_stands_in_its_file(block: Block) -> None:
    assert block.text in (REPOSITORY / block.argument).read_text()


@pytest.mark.parametrize("block", [b for b in ALL if b.kind == "make"], ids=str)
def test_targets_exist(block: Block) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "make", f"{block}: {line}"
        assert words[1] in targets, f"{block}: {line}"


def known_ros_arguments() -> set[str]:
    """Launch arguments, and names that may stand before := otherwise."""
    launch = (REPOSITORY / "launch" / "headpose.launch.py").read_text()
    parameters = yaml.safe_load((REPOSITORY / "config" / "headpose.yaml").read_text())["/**"]
    names = set(re.findall(r'^        "(\w+)":', launch, re.MULTILINE))
    names |= set(re.findall(r'^    "(\w+)":', launch, re.MULTILINE))
    return names | set(parameters["ros__parameters"]) | {"__ns", "__node"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_ros_arguments_exist(page: Path) -> None:
    known = known_ros_arguments()
    for block in blocks(page):
        if block.language == "bash" and "headpose" in block.text:
            for name in re.findall(r"([\w./]+):=", block.text):
                assert name in known, f"{block}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))  # code has brackets, too
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        if path.startswith(("http://", "https://")):
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(title) for title in titles}, f"{page.name}: {target}"


ROOMS = "headpose_core|headpose_ros|training|tools|benchmarks|tests|examples|launch|config|docs"
NAMED = re.compile(
    rf"`((?:{ROOMS})/[\w./-]*)`"  # a file or folder
    r"|`((?:headpose_core|headpose_ros|training|tools|benchmarks)(?:\.\w+)+)`"  # a module
    r"|\[([\w/]+\.py)\]\(([^)]+)\)"  # a link with the name of its file
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_modules_that_are_named_exist(page: Path) -> None:
    for path, module, words, target in NAMED.findall(page.read_text(encoding="utf-8")):
        if path:
            assert (REPOSITORY / path).exists(), f"{page.name}: {path}"
        elif module:
            file = REPOSITORY / module.replace(".", "/")
            of_it = file.parent.with_suffix(".py")  # the name of something in a module
            assert file.is_dir() or file.with_suffix(".py").is_file() or of_it.is_file(), (
                f"{page.name}: {module}"
            )
        else:
            assert f"/{target}".endswith(f"/{words}"), f"{page.name}: {words} is {target}"


def slug(title: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def repository_commands() -> dict[str, dict[str, set[str]]]:
    """By module that the pages run (`python -m training.x`): options, and where they stand."""
    found: dict[str, dict[str, set[str]]] = {}
    for block in ALL:
        if block.language != "bash":
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            if command := re.search(
                r"python3? -m ((?:training|benchmarks|tools)[\w.]*)(.*)", line
            ):
                options = found.setdefault(command[1], {})
                for option in re.findall(r"(?<=\s)--[a-z][\w-]*", command[2].partition(" #")[0]):
                    options.setdefault(option, set()).add(str(block))
    return found


@pytest.mark.parametrize("module", sorted(repository_commands()))
def test_modules_exist(module: str) -> None:
    path = REPOSITORY / module.replace(".", "/")
    assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


@pytest.mark.long
@pytest.mark.parametrize("module", sorted(repository_commands()))
def test_modules_take_the_options_that_pages_name(module: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    told = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    known = set(re.findall(r"--[a-z][\w-]*", told.replace("_", "-")))
    for option, places in repository_commands()[module].items():
        assert option.replace("_", "-") in known, f"{sorted(places)}: {module} {option}"
