# SPDX-License-Identifier: Apache-2.0
"""Which module imports which, read from the source: nothing is imported to find out."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDERS = ("headpose_core", "headpose_ros", "training", "tools", "benchmarks")
_BY_STRING = ("import_module", "__import__")


@dataclass(frozen=True)
class Module:
    """name: dotted; of a package that of its folder."""

    name: str
    path: Path

    @property
    def room(self) -> str:
        """Where it stands in the core: a folder, or a module directly in it; else its folder."""
        parts = self.name.split(".")
        if parts[0] != "headpose_core":
            return parts[0]
        return parts[1] if len(parts) > 1 else "front"

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    def tree(self) -> ast.Module:
        return _parsed(self.path)

    def lines(self) -> int:
        return len(self.path.read_text(encoding="utf-8").splitlines())

    def functions(self) -> Iterator[tuple[str, int]]:
        """Name and length in lines of each function in it."""
        for node in ast.walk(self.tree()):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def modules_in(repository: Path, *folders: str) -> dict[str, Module]:
    """Every module of these folders by its name."""
    found = {}
    for folder in folders:
        for path in sorted((repository / folder).rglob("*.py")):
            parts = path.relative_to(repository).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(name, path)
    return found


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything that a module imports, wherever in it and however.

    ``from a import b`` gives a.b, which may be a module or something in a. Of a name that is put
    together, ``import_module(f"a.{b}")``, the beginning with an asterisk: a.*. Of a name that only
    running tells: ?. Relative imports keep their dots.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node.func) in _BY_STRING:
            yield _text(node.args[0]) if node.args else "?"


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _text(argument: ast.expr) -> str:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    if isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
        return f"{argument.values[0].value}*"
    return "?"


def targets(name: str, modules: Mapping[str, Module]) -> list[str]:
    """The modules of ours that an imported name leads to."""
    if name.endswith("*"):
        return [other for other in modules if other.startswith(name[:-1])]
    if name in modules:
        return [name]
    of_it = name.rpartition(".")[0]
    return [of_it] if of_it in modules else []


def graph(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """By module those of ours that it imports."""
    return {
        name: {to for text in imported_names(module.tree()) for to in targets(text, modules)}
        - {name}
        for name, module in modules.items()
    }


def behind(name: str, arrows: Mapping[str, set[str]]) -> set[str]:
    """A module and all that it imports, and those in turn."""
    found: set[str] = set()
    todo = [name]
    while todo:
        if (one := todo.pop()) not in found:
            found.add(one)
            todo.extend(arrows[one])
    return found


def circles(arrows: Mapping[str, set[str]]) -> list[set[str]]:
    """Sets of modules of which each leads to each."""
    reached = {name: behind(name, arrows) for name in arrows}
    sets = {
        frozenset(other for other in reached[name] if name in reached[other]) for name in arrows
    }
    return [set(one) for one in sets if len(one) > 1]
