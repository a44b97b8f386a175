# SPDX-License-Identifier: Apache-2.0
"""The rooms of docs/design.md and the arrows between them; no arrow up, no circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import REPOSITORY
from tests.structure import (
    FOLDERS,
    Module,
    behind,
    circles,
    graph,
    imported_names,
    modules_in,
    targets,
)

# Everybody may import these, and they import nothing of ours.
GROUND = ("types", "errors", "settings", "output_files")
# By room of the core those that it may import besides.
CORE: dict[str, set[str]] = {
    **{room: set() for room in GROUND},
    "images": set(),
    "onnx_files": set(),
    "geometry": set(),
    "faces": {"geometry", "images", "onnx_files"},
    "pose": {"geometry", "images", "onnx_files"},
    "drawing": {"geometry", "images"},
    "messages": {"drawing", "geometry", "images"},
    "pipeline": {"faces", "pose", "geometry", "images"},
    "front": {"drawing", "pipeline", "faces", "pose", "geometry", "images"},
    "bags": {"pipeline", "messages", "images"},
    "report": {"bags", "messages", "images", "geometry"},
    "benchmark": {"pipeline", "messages", "faces", "pose", "images", "onnx_files"},
    "learning": {"pose", "faces", "images", "geometry", "onnx_files"},
    "__main__": {"commands"},
}
FOR_PEOPLE = {"commands", "__main__", "learning"}  # nothing else of the core stands on them
CORE["commands"] = CORE.keys() - FOR_PEOPLE
OTHERS = {
    "headpose_ros": CORE.keys() - FOR_PEOPLE - {"bags", "report", "benchmark"},
    "training": CORE.keys() - FOR_PEOPLE | {"learning"},
    "benchmarks": CORE.keys() - FOR_PEOPLE | {"headpose_ros"},
    "tools": CORE.keys() - FOR_PEOPLE | {"headpose_ros"},
}
# Arrows of single modules, where a whole room must not point.
SINGLE = {
    ("training.evaluation.models", "benchmarks.peer"),
    ("benchmarks.", "tools.demo.network"),
    ("benchmarks.bench", "headpose_core.commands.bench"),
    ("tools.pictures.", "training."),
    ("tools.pictures.report_picture", "headpose_core.commands.cli"),
}
# Inside learning: what each of its rooms may import of the others.
LEARNING: dict[str, set[str]] = {"data": set(), "run": {"data"}, "export": {"data", "run"}}
# torch's own rooms.
WITH_TORCH = ("headpose_core/pose/networks/", "headpose_core/pose/backends/torch.py")
WITH_TORCH += ("headpose_core/learning/",)
# Modules that import what only running tells: packages from outside.
FROM_OUTSIDE = {"headpose_core/commands/arguments.py", "headpose_ros/messages.py"}
ROS = {"rclpy", "rcl_interfaces", "tf2_ros", "sensor_msgs", "std_msgs", "geometry_msgs", "launch"}
ROS |= {"builtin_interfaces", "diagnostic_msgs", "lifecycle_msgs", "visualization_msgs"}
ROS |= {"hri_msgs", "launch_ros", "headpose_ros"}

MODULES = modules_in(REPOSITORY, *FOLDERS)
GRAPH = graph(MODULES)
SHIPPED = {
    n: m for n, m in MODULES.items() if n.split(".")[0] in ("headpose_core", "headpose_ros")
}


def place(module: Module) -> str:
    return str(module.path.relative_to(REPOSITORY))


def may_import(module: Module, target: Module) -> bool:
    if target.room == module.room:
        return True
    if any(module.name.startswith(a) and target.name.startswith(b) for a, b in SINGLE):
        return True
    ground = () if module.room in GROUND else GROUND
    return target.room in {*ground, *(CORE | OTHERS)[module.room]}


@pytest.mark.parametrize("module", MODULES.values(), ids=place)
def test_arrows_go_one_way(module: Module) -> None:
    for name in imported_names(module.tree()):
        assert name != "?" or place(module) in FROM_OUTSIDE, "which module it is cannot be read"
        assert not name.startswith("."), "modules are imported by their whole names"
        found = targets(name, MODULES)
        known = name.split(".")[0] not in FOLDERS or name.startswith("headpose_ros.msg.")
        assert found or known, f"there is no {name}"
        if name != "headpose_core.__version__":
            for target in found:
                assert may_import(module, MODULES[target]), f"imports {name}"


@pytest.mark.parametrize("module", MODULES.values(), ids=place)
def test_torch_and_ros_stay_in_their_rooms(module: Module) -> None:
    tops = {name.split(".")[0] for name in imported_names(module.tree())}
    if module.name in SHIPPED and not place(module).startswith(WITH_TORCH):
        assert "torch" not in tops
    if module.name.startswith("headpose_core"):
        assert not tops & ROS
    assert "tests" not in tops


@pytest.mark.parametrize("room", LEARNING)
def test_inside_learning_arrows_go_one_way(room: str) -> None:
    parts = [GRAPH[n] for n in MODULES if n.startswith(f"headpose_core.learning.{room}")]
    inside = {
        t.split(".")[2] for to in parts for t in to if t.startswith("headpose_core.learning.")
    }
    assert parts
    assert inside <= {room, *LEARNING[room]}


def test_of_the_pose_only_the_torch_backend_has_networks() -> None:
    networks = "headpose_core.pose.networks"
    by = {n for n, to in GRAPH.items() if any(target.startswith(networks) for target in to)}
    of_pose = {n for n in by if n.startswith("headpose_core.") and ".learning." not in n}
    assert {n for n in of_pose if not n.startswith(networks)} == {
        "headpose_core.pose.backends.torch"
    }


def test_the_list_of_arrows_has_no_circle() -> None:
    assert circles(CORE) == []


def test_there_is_no_circle() -> None:
    assert circles(GRAPH) == []


def test_every_room_is_there() -> None:
    assert {module.room for module in MODULES.values()} == (CORE | OTHERS).keys()


def test_importing_the_library_imports_no_torch() -> None:
    code = "import sys, headpose_core; print('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


def test_the_pipeline_is_read_in_few_files() -> None:
    names = behind("headpose_core.pipeline", GRAPH)
    files = [MODULES[name] for name in names if not MODULES[name].is_package]
    assert {"headpose_core.faces.face_detector", "headpose_core.pose.pose_model"} <= names
    listing = "\n".join(f"{module.lines():5} {module.name}" for module in files)
    assert len(files) <= 16, listing
    assert sum(module.lines() for module in files) <= 1800, listing


def test_few_modules_stand_directly_in_the_core() -> None:
    assert len(list((REPOSITORY / "headpose_core").glob("*.py"))) <= 11


def test_names_are_used_once_but_for_a_command() -> None:
    """A command may be called like what it runs."""
    by_name: dict[str, list[str]] = {}
    for name in MODULES:
        if name.startswith("headpose_core.") and not name.endswith("__main__"):
            by_name.setdefault(name.rpartition(".")[2], []).append(name)
    for names in (names for names in by_name.values() if len(names) > 1):
        commands = [name for name in names if name.startswith("headpose_core.commands.")]
        others = [name for name in names if name not in commands]
        assert (len(commands), len(others)) == (1, 1), names
        assert any(target.startswith(others[0]) for target in GRAPH[commands[0]]), names


def test_nothing_is_called_utils() -> None:
    assert [n for n in MODULES if n.rpartition(".")[2].startswith(("util", "helper"))] == []


@pytest.mark.parametrize("module", SHIPPED.values(), ids=place)
def test_modules_and_functions_are_short(module: Module) -> None:
    assert module.lines() <= 250
    assert [(name, lines) for name, lines in module.functions() if lines > 60] == []


def test_names_of_tests_are_short() -> None:
    tests = modules_in(REPOSITORY, "tests").values()
    names = [
        name for module in tests for name, _ in module.functions() if name.startswith("test_")
    ]
    assert len(names) > 500
    assert [name for name in names if len(name) > 65] == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b as c", ["a.b"]),
        ("from a.b import c, d", ["a.b.c", "a.b.d"]),
        ("from . import c", ["..c"]),
        ("if TYPE_CHECKING:\n    from a import b", ["a.b"]),
        ("def f():\n    import a", ["a"]),
        ("import_module('a.b')", ["a.b"]),
        ("importlib.import_module('a.b').c()", ["a.b"]),
        ("__import__('a')", ["a"]),
        ("import_module(f'a.{b}')", ["a.*"]),
        ("import_module(b)", ["?"]),
        ("import_module(f'{b}.c')", ["?"]),
    ],
)
def test_every_kind_of_import_is_seen(source: str, names: list[str]) -> None:
    assert list(imported_names(ast.parse(source))) == names


def test_circles_and_arrows_by_a_string_are_seen(tmp_path: Path) -> None:
    sources = {"__init__": "", "a": "import core.b", "d": "from core.a import x"}
    sources |= {"b": "def f(n):\n    import_module(f'core.{n}')", "c": "import core.d"}
    (tmp_path / "core").mkdir()
    for name, source in sources.items():
        (tmp_path / "core" / f"{name}.py").write_text(source)
    arrows = graph(modules_in(tmp_path, "core"))
    assert arrows["core.d"] == {"core.a"}
    assert arrows["core.b"] == {"core.a", "core.c", "core.d"}
    assert circles(arrows) == [{"core.a", "core.b", "core.c", "core.d"}]
    assert behind("core.c", {**arrows, "core.b": set()}) == {f"core.{n}" for n in "abcd"}
