# SPDX-License-Identifier: Apache-2.0
"""The command ``headpose``: its subcommands and their options. No ROS is needed.

Exit status: 0 all done, 1 something could not be done, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from headpose_core import __version__, about, bench, commands
from headpose_core.errors import DeviceError
from headpose_core.options import pipeline_options, positive, say

_ANGLES = (
    "Angles are the paper's, in degrees: yaw > 0 nose to the image's left, pitch > 0 up, "
    "roll > 0 clockwise. Records go to standard output or a file, all words to standard error."
)


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
        return commands.INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headpose", description="Head pose of every face in photos, videos and bags (EHPNet)."
    )
    parser.add_argument("--version", action="version", version=f"headpose {__version__}")
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_image, _video, _camera, _bag, _report, bench.add_parser, _info):
        add(subcommands)
    return parser


def _image(subcommands: Any) -> None:
    image = _command(
        subcommands,
        "image",
        "photos: a JSON line each, and annotated copies",
        "headpose image photos/ --out annotated --jsonl poses.jsonl",
        pipeline_options(max_faces=100),
    )
    image.add_argument("photos", nargs="+", metavar="PHOTO", help="a file, a folder or a pattern")
    image.add_argument("--out", type=Path, metavar="DIR", help="for annotated copies")
    image.add_argument("--jsonl", type=Path, default=Path("-"), metavar="FILE", help="not stdout")
    _pace(image, "photo")
    image.set_defaults(run=commands.image)


def _video(subcommands: Any) -> None:
    video = _command(
        subcommands,
        "video",
        "videos: annotated copies, and a record for each image",
        "headpose video drive.mp4 --out annotated.mp4 --jsonl poses.jsonl",
        pipeline_options(max_faces=100),
    )
    video.add_argument("videos", nargs="+", metavar="IN", help="a file, a folder or a pattern")
    _films(video)
    _pace(video, "image")
    video.set_defaults(run=commands.video)


def _camera(subcommands: Any) -> None:
    camera = _command(
        subcommands,
        "camera",
        "a camera: a live window, and a record for each image",
        "headpose camera 0 --jsonl poses.jsonl",
        pipeline_options(max_faces=8),
    )
    camera.add_argument("source", metavar="N", help="its number, or an address such as rtsp://...")
    _films(camera)
    _pace(camera, "image")
    camera.set_defaults(run=commands.camera)


def _bag(subcommands: Any) -> None:
    bag = _command(
        subcommands,
        "bag",
        "ROS 2 bags: what the node would have published, as another bag",
        "headpose bag drive/ --out drive_poses.mcap --copy",
        pipeline_options(max_faces=8),
    )
    add = bag.add_argument
    add("bags", nargs="+", type=Path, metavar="IN", help="folder, .mcap or .db3 file")
    add("--image-topic", metavar="TOPIC", help="raw or compressed images; found when there is one")
    add("--camera-info", metavar="TOPIC", help="default: the one beside the images")
    add("--out", type=Path, metavar="OUT.mcap", help="or a folder, for several bags")
    add("--copy", action="store_true", help="the bag's own messages go into OUT too")
    add("--debug-images", action="store_true", help="annotated images go into OUT too")
    add("--jobs", type=positive, default=1, metavar="N", help="bags at the same time")
    _texts(bag)
    _pace(bag, "image")
    bag.set_defaults(run=_needs("rosbags", "bags", "headpose_core.bags.command"))


def _report(subcommands: Any) -> None:
    report = _command(
        subcommands,
        "report",
        "a page about a recording: angles over time, where faces looked, gaps",
        "headpose report poses.jsonl --out report.html --cone 30",
    )
    add = report.add_argument
    add("poses", type=Path, metavar="POSES", help=".jsonl, or a bag with HeadPoseArray messages")
    add("--out", type=Path, required=True, metavar="OUT.html")
    add("--topic", default="/head_pose", help="of the poses in a bag (/head_pose)")
    add("--video", type=Path, help="the video that a .jsonl is from, for thumbnails")
    add("--cone", type=float, default=30.0, metavar="DEG", help="facing, to this angle (30)")
    add(
        "--towards",
        type=float,
        nargs=2,
        default=(0.0, 0.0),
        metavar=("YAW", "PITCH"),
        help="paper's angles of the middle of the cone (0 0: into the camera)",
    )
    report.set_defaults(run=_needs("plotly", "report", "headpose_core.report.command"))


def _info(subcommands: Any) -> None:
    info = _command(
        subcommands,
        "info",
        "versions, models, backends and devices",
        "headpose info --json",
        pipeline_options(max_faces=8),
    )
    info.add_argument("--json", action="store_true", help="for programs")
    info.set_defaults(run=about.info)


def _command(
    subcommands: Any, name: str, text: str, example: str, *parents: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    """A subcommand whose help ends with an example."""
    parser: argparse.ArgumentParser = subcommands.add_parser(
        name,
        parents=parents,
        help=text,
        description=f"{text[0].upper()}{text[1:]}. {_ANGLES}",
        epilog=f"example: {example}",
    )
    return parser


def _films(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="OUT.mp4", help="annotated; or a folder")
    _texts(parser)


def _texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jsonl", type=Path, metavar="FILE", help="a line an image; - is stdout")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row for each head")


def _pace(parser: argparse.ArgumentParser, what: str) -> None:
    add = parser.add_argument
    add("--every", type=positive, default=1, metavar="N", help=f"only every n-th {what}")
    add("--quiet", action="store_true", help="no progress bar")
    if what == "photo" or parser.prog.split()[-1] != "bag":
        add("--zoom", type=float, metavar="Z", help="of annotated copies (until readable)")


def _needs(package: str, extra: str, module: str) -> Any:
    """The function ``run`` of a module that needs an optional package, imported when it is run."""
    return partial(_run_with, package, extra, module)


def _run_with(package: str, extra: str, module: str, args: argparse.Namespace) -> int:
    try:
        import_module(package)
    except ImportError as error:
        raise DeviceError(
            f"expected {package} to be installed, got '{error}': "
            f"pip install 'headpose-ehpnet[{extra}]'"
        ) from error
    return int(import_module(module).run(args))
