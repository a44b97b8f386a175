# SPDX-License-Identifier: Apache-2.0
"""The library in a few lines: the heads in a photo, printed and drawn.

python annotate_photo.py photo.jpg annotated.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

from headpose_core import HeadPoseModel, HeadPosePipeline, YuNet, draw_heads, read_image
from headpose_core.images.image_files import write_image


def main(photo: Path, out: Path) -> None:
    pipeline = HeadPosePipeline(YuNet(), HeadPoseModel.load())
    image = read_image(photo)
    frame = pipeline(image, stamp_s=0.0)
    for head in frame.heads:
        yaw, pitch, roll = head.paper_angles_deg
        sure = ", ".join(f"{std:.0f}" for std in head.std_deg)
        print(f"yaw {yaw:+.1f}, pitch {pitch:+.1f}, roll {roll:+.1f} (one sigma: {sure})")
    write_image(out, draw_heads(image, frame.heads))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
