# SPDX-License-Identifier: Apache-2.0
"""What figures belong to: the processor, the versions, the day."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import packages_distributions, version

from headpose_core import __version__
from headpose_core.pose.instructions import this_processor

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
    found = this_processor()
    able = " ".join(flag for flag in _USEFUL if flag in found.flags)
    return f"{found.name} ({able or 'no vector extension'})" if found.flags else found.name
