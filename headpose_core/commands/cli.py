# SPDX-License-Identifier: Apache-2.0
"""The command ``headpose``: its subcommands are the modules beside this one. No ROS is needed.

Exit status: 0 all done, 1 something could not be done, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Sequence

from headpose_core import __version__
from headpose_core.commands import bag, bench, camera, image, info, report, video
from headpose_core.commands.terminal import INTERRUPTED, error_in_words, say
from headpose_core.errors import DeviceError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default the process's. Returns the exit status."""
    args = parsed(sys.argv[1:] if argv is None else argv)
    try:
        status = int(args.run(args))
        sys.stdout.flush()
    except (DeviceError, ValueError, OSError, MemoryError) as error:  # the others are ValueErrors
        say(f"error: {error_in_words(error) or 'there is not enough memory'}")
        _give_up_output()
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    return status


def _give_up_output() -> None:
    """Standard output that is full or closed is let go: Python would try once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments as the parser of all subcommands understands them; else SystemExit."""
    parser = command_parser()
    for text in itertools.takewhile(lambda text: text != "--", argv):
        if text.startswith("--") and text.endswith("=--"):  # argparse makes an empty list of it
            parser.error(f"argument {text.removesuffix('=--')}: expected a value, got '--'")
    return parser.parse_args(argv)


def command_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="headpose", description="Head pose of every face in photos, videos and bags (EHPNet)."
    )
    parser.add_argument("--version", action="version", version=f"headpose {__version__}")
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (image, video, camera, bag, report, bench, info):
        command.add_parser(subcommands)
    return parser
