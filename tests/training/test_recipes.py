# SPDX-License-Identifier: Apache-2.0
"""The recipes: one is run, of the others every command is checked against the real options."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("tyro")
import tyro

from headpose_core.learning.run.config import DistillConfig, RunConfig, TrainConfig
from headpose_core.pose.head_pose_model import HeadPoseModel
from tests.learning.drawn_faces import write_shard
from tests.places import REPOSITORY
from training.command import parse

RECIPES = REPOSITORY / "training" / "recipes"
RUNS = {"training.train_teacher": TrainConfig, "training.distill": DistillConfig}
CONFIGS = {
    "training.evaluate": "EvaluateConfig",
    "training.export": "ExportConfig",
    "training.checks.compare": "CompareConfig",
}


def run_recipe(name: str, *args: object, **variables: object) -> subprocess.CompletedProcess[str]:
    """Run a recipe with this Python, on the CPU."""
    environment = {"PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [RECIPES / name, *map(str, args)],
        cwd=REPOSITORY,
        env=os.environ | environment | {key: str(value) for key, value in variables.items()},
        capture_output=True,
        text=True,
        check=False,
    )


def has_assets(request: pytest.FixtureRequest) -> bool:
    """Whether heads can be rendered here."""
    try:
        request.getfixturevalue("engine")
    except pytest.skip.Exception:
        return False
    return True


def test_the_smoke_recipe_goes_the_whole_way(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if has_assets(request):
        faces = ("--assets", request.getfixturevalue("head_assets"))
    else:
        write_shard(tmp_path / "drawn", 0, 96)
        faces = ("--renders", tmp_path / "drawn")
    done = run_recipe("smoke", tmp_path / "out", *faces)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out" / "evaluation" / "results.json").read_text())
    assert set(results["models"]) == {"student", "teachers"}
    assert results["models"]["student"]["n"] > 0
    HeadPoseModel.load(tmp_path / "out" / "student.onnx")
    for run in ("teacher-a", "teacher-b", "student"):
        assert len((tmp_path / "out" / run / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.long
def test_the_ablation_goes_on_where_it_was_and_ends_with_a_table(tmp_path: Path) -> None:
    write_shard(tmp_path / "faces", 0, 300)
    small = {
        "STUDENTS": "hard distilled",
        "STUDENT_NET": "lite:8",
        "VIEWS": 64,
        "TEACHER_NETS": "lite:8",
        "TEACHER_VIEWS": 64,
        "CROP_SIZES": "0 32 0.9 112",
        "MORE": "--schedule.batch-size 8 --holdout-share 0.05",
    }
    out = tmp_path / "out"
    first = run_recipe("ablation", out, tmp_path / "faces", **small, SEEDS="0")
    assert first.returncode == 0, first.stdout
    weights = out / "hard-0" / "weights.safetensors"
    written = weights.stat().st_mtime_ns
    (out / "distilled-0" / "done").unlink()  # as if killed before its end
    second = run_recipe("ablation", out, tmp_path / "faces", **small, SEEDS="0 1")
    assert second.returncode == 0, second.stdout
    assert weights.stat().st_mtime_ns == written
    (table,) = json.loads((out / "ablation.json").read_text())
    groups = table["groups"]
    assert list(groups) == ["hard", "distilled", "teacher-litex8", "all-teachers"]
    assert list(groups["hard"]["seeds"]) == list(groups["distilled"]["seeds"]) == ["0", "1"]
    assert groups["distilled"]["from_first"]["std"] >= 0.0
    assert "| distilled | 2 |" in (out / "ablation.md").read_text()


def recorded(tmp_path: Path, recipe: str, *args: object, **variables: object) -> list[list[str]]:
    """The Python commands of a recipe, as words; nothing is run."""
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done >> {tmp_path}/words\n'
    )
    with python.open("a") as file:
        file.write(f"echo >> {tmp_path}/words\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    done = run_recipe(recipe, *args, PYTHON=python, **variables)
    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "words").read_text().strip("\n").split("\n\n")
    return [command.split("\n") for command in commands]


def check(command: list[str]) -> object:
    """Parse `-m module flags` with the options that the module really has."""
    assert command[0] == "-m", command
    module, args = command[1], command[2:]
    if module in RUNS:
        return parse(RUNS[module], None, args)
    config = getattr(import_module(module), CONFIGS[module])
    return tyro.cli(config, args=args)


def test_the_commands_of_the_paper(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("out", "300W_LPA", "AFLW2000", "BIWI")]
    configs = [check(command) for command in recorded(tmp_path, "paper", *folders)]
    runs = [config for config in configs if isinstance(config, RunConfig)]
    assert [run.network.backbone for run in runs] == [
        "resnet101",
        "res2net101",
        "botnet101",
        "resnet18",
        "resnet18",
        "resnet18",
    ]
    assert all(run.optimizer.name == "adam" and run.optimizer.lr == 1e-4 for run in runs)
    student = runs[3]
    assert isinstance(student, DistillConfig) and len(student.teachers) == 3
    assert [run.schedule.epochs for run in runs] == [100, 100, 100, 200, 100, 100]
    assert [run.crop for run in runs] == ["pad"] * 5 + ["stretch"]
    assert {out for run in runs if (out := run.out.parent)} == {tmp_path / "out"}


def test_the_commands_of_the_ablation_are_equal_but_for_the_loss(tmp_path: Path) -> None:
    write_shard(tmp_path / "faces", 0, 2)
    commands = recorded(tmp_path, "ablation", tmp_path / "out", tmp_path / "faces", JOBS=1)
    configs = [check(command) for command in commands]
    students = [run for run in configs if isinstance(run, RunConfig) and run.seed < 100]
    assert [run.out.name for run in students[:3]] == ["hard-0", "distilled-0", "stretched-0"]
    assert len(students) == 9
    hard, distilled, stretched = students[:3]
    assert hard.schedule == distilled.schedule == stretched.schedule
    assert hard.optimizer == distilled.optimizer == stretched.optimizer
    assert hard.network == distilled.network == stretched.network
    assert hard.data == distilled.data == stretched.data
    assert isinstance(distilled, DistillConfig) and len(distilled.teachers) == 3


def test_a_wrong_call_says_what_is_expected() -> None:
    for recipe in ("smoke", "paper"):
        done = run_recipe(recipe)
        assert done.returncode == 2 and "expected:" in done.stderr


def test_the_commands_of_the_page_have_the_options_that_they_use() -> None:
    page = (REPOSITORY / "docs" / "training.md").read_text()
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    lines = blocks.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line) for line in lines if " -m training." in line]
    checked = [
        check(words[words.index("-m") :])
        for words in commands
        if words[words.index("-m") + 1] in RUNS | CONFIGS
    ]
    assert any(isinstance(config, DistillConfig) for config in checked)


def test_fine_tuning_starts_from_weights_on_the_same_renders(tmp_path: Path) -> None:
    out, renders = tmp_path / "out", [tmp_path / "a", tmp_path / "b"]
    lite, resnet18 = (
        check(command) for command in recorded(tmp_path, "fine_tune", out, *renders, MINUTES="5 6")
    )
    assert isinstance(lite, TrainConfig) and isinstance(resnet18, TrainConfig)
    assert lite.network.backbone == "lite" and resnet18.network.backbone == "resnet18"
    assert lite.data == resnet18.data == tuple(map(str, renders))
    assert (lite.schedule.minutes, resnet18.schedule.minutes) == (5.0, 6.0)
    assert lite.init is not None and lite.init.name == "ehpnet_lite.onnx"
    assert lite.threads == resnet18.threads == 1
    (tmp_path / "words").unlink()
    (alone,) = recorded(tmp_path, "fine_tune", out, renders[0], LITE="")
    assert "resnet18" in str(check(alone).out)  # type: ignore[attr-defined]
