# SPDX-License-Identifier: Apache-2.0
"""The fenced blocks of the documentation, with the comment that says how to treat each.

A comment in the line before a fence is one of

    <!-- needs: a GPU -->                  not run here; the reason is said
    <!-- make -->                          the targets of the Makefile are looked up
    <!-- file: examples/annotate.py -->    stands in that file, which has a test of its own

Without one, `bash` and `python` blocks are run, in a folder that has what the pages speak of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.places import REPOSITORY

PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "QUALITY_DECLARATION.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
_FENCE = re.compile(r"^```(.*)$")
_COMMENT = re.compile(r"^<!-- (needs|make|file)(?:: (.+))? -->$")


@dataclass(frozen=True)
class Block:
    """One fence. kind: "" or what its comment says: needs, make, file, with its argument."""

    page: Path
    line: int
    language: str
    text: str
    kind: str = ""
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All blocks of a page. Raises ValueError for a fence that does not end."""
    found, before, start, language = [], "", 0, ""
    inside: list[str] | None = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line.strip())
        if fence and inside is None:
            inside, start, language = [], number, fence[1].strip()
        elif fence:
            comment = _COMMENT.match(before)
            kind, argument = (comment[1], comment[2] or "") if comment else ("", "")
            found.append(Block(page, start, language, "\n".join(inside), kind, argument))
            inside, before = None, ""
        elif inside is not None:
            inside.append(line)
        elif line.strip():
            before = line.strip()
    if inside is not None:
        raise ValueError(f"{page}:{start}: this fence does not end")
    return found
