# SPDX-License-Identifier: Apache-2.0
"""package.xml and CMakeLists.txt say what the code needs and what there is."""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import pytest

from tests.places import REPOSITORY

# Not of ROS: from the keys beside them, from pip, or only when they are there.
OTHERS = {"headpose_core": None, "headpose_ros": None, "launch": "launch", "hri_msgs": None}
OTHERS |= {"numpy": "python3-numpy", "cv2": "python3-opencv"}


def needed() -> Iterator[str]:
    """Packages that the node and its launch file import, wherever."""
    for path in [
        *(REPOSITORY / "headpose_ros").glob("*.py"),
        *(REPOSITORY / "launch").glob("*.py"),
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.split(".")[0]


def declared() -> set[str]:
    root = ElementTree.parse(REPOSITORY / "package.xml").getroot()
    return {str(e.text) for e in root if e.tag in ("depend", "exec_depend")}


def test_everything_that_is_imported_is_declared() -> None:
    names = set(needed()) - sys.stdlib_module_names
    keys = {OTHERS.get(name, name) for name in names} - {None}
    assert keys <= declared()
    assert {"rclpy", "std_srvs", "launch_ros", "python3-numpy"} <= keys  # it looks at both


def test_messages_are_built_and_their_packages_declared() -> None:
    cmake = (REPOSITORY / "CMakeLists.txt").read_text()
    for path in (REPOSITORY / "msg").glob("*.msg"):
        assert f'"msg/{path.name}"' in cmake
        packages = re.findall(r"^(\w+)/\w+", path.read_text(), re.MULTILINE)
        assert set(packages) <= declared()
        assert all(f"find_package({package} REQUIRED)" in cmake for package in packages)


def test_catkin_tools_take_it() -> None:
    """colcon and rosdep read it with the same parser."""
    catkin = pytest.importorskip("catkin_pkg.package", reason="needs catkin_pkg")
    warnings: list[str] = []
    package = catkin.parse_package(str(REPOSITORY / "package.xml"), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == []
    assert package.get_build_type() == "ament_cmake"
    version = re.search(
        r'__version__ = "(.+)"', (REPOSITORY / "headpose_core" / "__init__.py").read_text()
    )
    assert version
    assert package.version == version[1]
