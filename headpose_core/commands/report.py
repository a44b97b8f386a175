# SPDX-License-Identifier: Apache-2.0
"""``headpose report``: poses in, one page out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from headpose_core.commands.arguments import new_command, number, require
from headpose_core.commands.terminal import say
from headpose_core.messages.frame_messages import HEAD_POSE
from headpose_core.messages.records import text_file


def add_parser(subcommands: Any) -> None:
    """Add the subcommand to ``argparse``'s."""
    report = new_command(
        subcommands,
        "report",
        "a page about a recording: angles over time, where faces looked, gaps",
        "headpose report poses.jsonl --out report.html --cone 30",
        run,
    )
    add, topic = report.add_argument, f"/{HEAD_POSE}"
    add("poses", type=Path, metavar="POSES", help=".jsonl, or a bag with HeadPoseArray messages")
    add("--out", type=Path, required=True, metavar="OUT.html")
    add("--topic", default=topic, help=f"of the poses in a bag ({topic})")
    add("--video", type=Path, help="the video that a .jsonl is from, for thumbnails")
    cone, degrees = number(0.1, 179.9), number(-180, 180)
    add("--cone", type=cone, default=30.0, metavar="DEG", help="facing, to this angle (30)")
    middle = "paper's angles of the middle of the cone (0 0: into the camera)"
    pair = ("YAW", "PITCH")
    add("--towards", type=degrees, nargs=2, default=(0.0, 0.0), metavar=pair, help=middle)


def run(args: argparse.Namespace) -> int:
    """Write the page that the options describe."""
    for package in ("plotly",) if args.poses.suffix == ".jsonl" else ("plotly", "rosbags", "mcap"):
        require(package, "report")
    from headpose_core.report.page import page
    from headpose_core.report.recording import read_recording
    from headpose_core.report.statistics import Cone
    from headpose_core.report.thumbnails import thumbnails

    cone = Cone(args.cone, *args.towards)
    recording = read_recording(args.poses, args.topic)
    pictures = thumbnails(recording, args.poses, args.video)
    with text_file(args.out) as file:
        file.write(page(recording, cone, pictures))
    say(f"{len(recording.stamps_s)} images, {len(recording.faces)} faces -> {args.out}")
    return 0
