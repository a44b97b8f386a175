# SPDX-License-Identifier: Apache-2.0
"""``headpose report``: poses in, one page out."""

from __future__ import annotations

import argparse

from headpose_core.options import say
from headpose_core.records import text_file
from headpose_core.report.page import page
from headpose_core.report.recording import read_recording
from headpose_core.report.statistics import Cone
from headpose_core.report.thumbnails import thumbnails


def run(args: argparse.Namespace) -> int:
    """Write the page that the options describe."""
    cone = Cone(args.cone, *args.towards)
    recording = read_recording(args.poses, args.topic)
    pictures = thumbnails(recording, args.poses, args.video)
    with text_file(args.out) as file:
        file.write(page(recording, cone, pictures))
    say(f"{len(recording.stamps_s)} images, {len(recording.faces)} faces -> {args.out}")
    return 0
