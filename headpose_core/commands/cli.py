# SPDX-License-Identifier: Apache-2.0
"""The command ``headpose``: its subcommands are the modules beside this one. No ROS is needed.

Exit status: 0 all done, 1 something could not be done, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from headpose_core import __version__
from headpose_core.commands import bag, bench, camera, image, info, report, video
from headpose_core.commands.terminal import INTERRUPTED, say
from headpose_core.errors import DeviceError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default the process's. Returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (DeviceError, ValueError, OSError) as error:  # the other errors are ValueErrors
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headpose", description="Head pose of every face in photos, videos and bags (EHPNet)."
    )
    parser.add_argument("--version", action="version", version=f"headpose {__version__}")
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (image, video, camera, bag, report, bench, info):
        command.add_parser(subcommands)
    return parser
