# SPDX-License-Identifier: Apache-2.0
"""What figures belong to: the processor, the versions, the day."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import packages_distributions, version
from pathlib import Path

from headpose_core import __version__

_MODULES = ("numpy", "cv2", "onnxruntime", "openvino")
# Extensions of the instruction set that decide how fast networks run.
_USEFUL = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimddp")


def machine() -> dict[str, str]:
    """Processor, cores, versions and date, as text by name."""
    distributions = packages_distributions()
    found = {name: distributions[name][0] for name in _MODULES if name in distributions}
    return {
        "processor": processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "headpose": __version__,
        "python": platform.python_version(),
        **{name: version(distribution) for name, distribution in found.items()},
        "date": date.today().isoformat(),
    }


def processor() -> str:
    """The processor's name and, of what it can do, what matters here."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in text.splitlines())
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    flags = facts.get("flags", facts.get("Features", "")).split()
    able = " ".join(flag for flag in _USEFUL if flag in flags)
    return f"{facts.get('model name', platform.machine())} ({able or 'no vector extension'})"
