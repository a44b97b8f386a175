# SPDX-License-Identifier: Apache-2.0
"""Train a network against hard labels: `python -m training.train_teacher --data DIR --out DIR`.

The defaults are the paper's; `training/recipes` has commands for other machines and purposes.
Run the same command again to resume. `--help` lists every setting.
"""

from __future__ import annotations

import tyro

from headpose_core.learning.config import TrainConfig
from headpose_core.learning.trainer import train


def main() -> None:
    """Command line."""
    weights = train(tyro.cli(TrainConfig, description=__doc__))
    print(f"weights: {weights}")


if __name__ == "__main__":
    main()
