# SPDX-License-Identifier: Apache-2.0
"""Writes the table of parameters in docs/node.md from the table in the code.

make docs
"""

from __future__ import annotations

import sys
from pathlib import Path

from headpose_ros.parameter_table import AT_CONFIGURE, AT_START, LIVE, PARAMETERS, Parameter

PAGE = Path(__file__).resolve().parents[1] / "docs" / "node.md"
_BEGIN, _END = "<!-- parameters -->\n", "<!-- end of parameters -->\n"
_WHEN = {AT_START: "start", AT_CONFIGURE: "configure", LIVE: "live"}


def with_table(page: str) -> str:
    """The page with the table as the code has it now."""
    before, _, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"{PAGE}: expected {_BEGIN.strip()} and {_END.strip()}")
    return before + _BEGIN + "".join(f"{line}\n" for line in _table()) + _END + after


def _table() -> list[str]:
    head = ["", "| parameter | default | read | range | |", "|---|---|---|---|---|"]
    return [*head, *map(_row, PARAMETERS), ""]


def _row(row: Parameter) -> str:
    default = str(row.default).lower() if isinstance(row.default, bool) else row.default
    shown = f"`{default}`" if default != "" else "`''`"
    return f"| `{row.name}` | {shown} | {_WHEN[row.when]} | {_range(row)} | {row.text} |"


def _range(row: Parameter) -> str:
    if row.limits:
        return f"{row.limits[0]:g} to {row.limits[1]:g}"
    return ", ".join(row.choices) or (f"`{row.pattern}`" if row.pattern else "")


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
