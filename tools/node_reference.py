# SPDX-License-Identifier: Apache-2.0
"""Writes config/headpose.yaml and the table of parameters in docs/node.md from the code.

make docs
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

from headpose_ros.parameter_table import (
    AT_CONFIGURE,
    AT_START,
    LIVE,
    PARAMETERS,
    SECTIONS,
    Parameter,
)

_REPOSITORY = Path(__file__).resolve().parents[1]
PAGE, YAML = _REPOSITORY / "docs" / "node.md", _REPOSITORY / "config" / "headpose.yaml"
_BEGIN, _END = "<!-- parameters -->\n", "<!-- end of parameters -->\n"
_WHEN = {AT_START: "start", AT_CONFIGURE: "configure", LIVE: "live"}
_YAML_HEAD = """\
# Every parameter of the node, with its default. Taken: "start" when the node starts, "configure"
# when it is configured next, "live" with the next image. `ros2 param describe` has the ranges; a
# value that is refused comes back with the reason and changes nothing. Made by `make docs`.

/**:
  ros__parameters:
"""
_TEXT_COLUMN, _WIDTH = 50, 119


def with_table(page: str) -> str:
    """The page with the table as the code has it now."""
    before, _, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"{PAGE}: expected {_BEGIN.strip()} and {_END.strip()}")
    return before + _BEGIN + "".join(f"{line}\n" for line in _table()) + _END + after


def yaml_file() -> str:
    """config/headpose.yaml as the code has it now."""
    rows = {row.name: row for row in PARAMETERS}
    parts = [_YAML_HEAD]
    for title, names in SECTIONS.items():
        parts.append(f"\n    # {title}\n" + "".join(_yaml_row(rows[name]) for name in names))
    return "".join(parts)


def _yaml_row(row: Parameter) -> str:
    plain = isinstance(row.default, str) and row.default
    value = row.default if plain else json.dumps(row.default)
    start = f"    {row.name}: {value}".ljust(_TEXT_COLUMN - 13) + f"# {_WHEN[row.when]:<9}  "
    first, *more = textwrap.wrap(row.text, _WIDTH - len(start), break_on_hyphens=False)
    rest = "".join(f"{'':{_TEXT_COLUMN - 13}}# {'':<9}  {line}\n" for line in more)
    return f"{start}{first}\n{rest}"


def _table() -> list[str]:
    head = ["", "| parameter | default | read | range | |", "|---|---|---|---|---|"]
    return [*head, *map(_row, PARAMETERS), ""]


def _row(row: Parameter) -> str:
    default = str(row.default).lower() if isinstance(row.default, bool) else row.default
    shown = f"`{default}`" if default != "" else "`''`"
    return f"| `{row.name}` | {shown} | {_WHEN[row.when]} | {_range(row)} | {row.text} |"


def _range(row: Parameter) -> str:
    if row.limits:
        steps = f" in steps of {row.step}" if row.step > 1 else ""
        return f"{row.limits[0]:g} to {row.limits[1]:g}{steps}"
    return ", ".join(row.choices) or (f"`{row.pattern}`" if row.pattern else "")


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    YAML.write_text(yaml_file(), encoding="utf-8")
    sys.exit(0)
