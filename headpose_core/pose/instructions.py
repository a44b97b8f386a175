# SPDX-License-Identifier: Apache-2.0
"""What a processor can do, by its own word: its name and the flags that Linux reads from it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# Flags of instructions that multiply numbers of 8 bits and add them up in 32, and their names.
# Without them the products of neighbours are added in 16 bits, which is slower and overflows.
_INTEGERS = {
    "amx_int8": "AMX",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX-VNNI",
    "i8mm": "I8MM",
    "asimddp": "dot products",
}


@dataclass(frozen=True)
class Processor:
    """A processor: its name, and its flags as Linux calls them, none where they are not known."""

    name: str
    flags: frozenset[str]

    @property
    def integers(self) -> str:
        """The names of what makes int8 networks fast; "" when it has nothing of it."""
        return " and ".join(name for flag, name in _INTEGERS.items() if flag in self.flags)

    @property
    def is_arm(self) -> bool:
        """Whether it is of Arm's kind, of 64 bits."""
        return "asimd" in self.flags


def this_processor() -> Processor:
    """The processor of this machine."""
    try:
        text = _CPUINFO.read_text(encoding="utf-8")
    except OSError:
        return Processor(platform.processor() or platform.machine(), frozenset())
    pairs = (line.partition(":") for line in text.splitlines())
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    flags = facts.get("flags", facts.get("Features", "")).split()
    return Processor(facts.get("model name", platform.machine()), frozenset(flags))
