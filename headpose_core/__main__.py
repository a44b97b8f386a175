# SPDX-License-Identifier: Apache-2.0
"""``python -m headpose_core``: the command ``headpose``."""

import sys

from headpose_core.commands.cli import main

sys.exit(main())
