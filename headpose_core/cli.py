# SPDX-License-Identifier: Apache-2.0
"""The command ``headpose``: photos and videos without ROS. ``commands`` says what each part does.

Exit status: 0 all done, 1 something could not be done, 2 wrong use.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from headpose_core import __version__, commands
from headpose_core.errors import DeviceError, ImageError, ModelError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default the process's. Returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (ModelError, DeviceError, ImageError, ValueError, OSError) as error:
        commands.say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        commands.say("interrupted")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headpose", description="Head pose of every face in photos and videos (EHPNet)."
    )
    parser.add_argument("--version", action="version", version=f"headpose {__version__}")
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    options = _options()

    image = subcommands.add_parser(
        "image",
        parents=[options],
        help="photos: a JSON line each, and annotated copies",
        description="Print a JSON line for each photo and write annotated copies. Angles are the "
        "paper's, in degrees: yaw > 0 nose to the image's left, pitch > 0 up, roll > 0 clockwise.",
    )
    image.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    image.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the copies")
    image.set_defaults(run=commands.image)

    video = subcommands.add_parser(
        "video",
        parents=[options],
        help="a video: annotated copy, and a JSON line for each image",
        description="Write an annotated copy of a video, and a JSON line for each of its images.",
    )
    video.add_argument("video", type=Path, metavar="IN")
    video.add_argument("--out", type=Path, required=True, metavar="OUT.mp4")
    video.add_argument("--jsonl", type=Path, metavar="OUT.jsonl", help="for the poses")
    video.set_defaults(run=commands.video)

    info = subcommands.add_parser(
        "info", parents=[options], help="versions, model, detector and device in use"
    )
    info.set_defaults(run=commands.info)
    return parser


def _options() -> argparse.ArgumentParser:
    """What all commands take."""
    options = argparse.ArgumentParser(add_help=False)
    add = options.add_argument
    add("--model", type=Path, metavar="FILE", help="pose network, by default the shipped one")
    add("--device", default="auto", choices=["auto", "cpu", "cuda", "tensorrt"])
    add("--no-cpu-fallback", action="store_true", help="fail when the device cannot be had")
    add("--threads", type=int, default=1, metavar="N", help="of each network (default 1)")
    add("--detector-model", type=Path, metavar="FILE", help="another YuNet file")
    add("--max-side", type=int, default=640, metavar="PX", help="detect at this size (640)")
    add("--score-threshold", type=float, default=0.6, metavar="S", help="of a face (0.6)")
    add("--min-face-size", type=float, default=24.0, metavar="PX", help="drop smaller (24)")
    add("--max-faces", type=int, default=100, metavar="N", help="keep the largest (100)")
    add("--zoom", type=float, metavar="Z", help="of annotated copies (default: until readable)")
    return options
