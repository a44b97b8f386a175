# SPDX-License-Identifier: Apache-2.0
"""Train a student against the mean of what trained teachers say.

    python -m training.distill --teachers A.safetensors B.safetensors --data DIR --out DIR

The defaults are the paper's; `training/recipes` has commands for other machines and purposes.
Run the same command again to resume. `--help` lists every setting.
"""

from __future__ import annotations

import sys

from headpose_core.learning.run.config import DistillConfig
from training.command import run


def main() -> None:
    """Command line."""
    run(DistillConfig, __doc__, sys.argv[1:])


if __name__ == "__main__":
    main()
