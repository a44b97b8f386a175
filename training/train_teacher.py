# SPDX-License-Identifier: Apache-2.0
"""Train a network against labels, a teacher or a student without teachers.

    python -m training.train_teacher --backbone resnet101 --data DIR --out DIR

The defaults are the paper's; `training/recipes` has commands for other machines and purposes.
Run the same command again to resume. `--help` lists every setting.
"""

from __future__ import annotations

import sys

from headpose_core.learning.run.config import TrainConfig
from training.command import run


def main() -> None:
    """Command line."""
    run(TrainConfig, __doc__, sys.argv[1:])


if __name__ == "__main__":
    main()
