# SPDX-License-Identifier: Apache-2.0
"""The test suite, in two processes: `python -m tools.run_tests [pytest's options]`.

PyTorch's loaders fork. A process in which OpenVINO, ONNX Runtime and the rest of the suite have
run before does not always survive that, so the training system's tests have one of their own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TRAINING = ("tests/learning", "tests/training", "tests/pose/networks")
NO_TESTS = 5  # pytest's exit status when a filter leaves none


def main() -> int:
    """Exit status: the first that is not 0; that of pytest without tests only if both had none."""
    options = sys.argv[1:]
    if any(Path(option.partition("::")[0]).exists() for option in options):
        return run(options)  # somebody's own choice of files
    others = [f"--ignore={folder}" for folder in TRAINING]
    codes = [run([*others, *options]), run([*TRAINING, *options])]
    failed = [code for code in codes if code not in (0, NO_TESTS)]
    return failed[0] if failed else min(codes)


def run(options: list[str]) -> int:
    """One pytest."""
    return subprocess.run([sys.executable, "-m", "pytest", *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
