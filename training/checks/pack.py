# SPDX-License-Identifier: Apache-2.0
"""Pack data sets into shards: `python -m training.checks.pack --data 300w-lp:DIR --out DIR`.

A shard holds what training needs of each face: the picture around it, small; the detector's box;
the label. Photos are then read, detected in and decoded at full size once and not in every epoch
(`training.checks.loader_speed` times both). Train on it with `--data packed:DIR`: the faces,
their labels and the hold-out are those of the data set. Shards that are already there are kept,
so a killed run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from headpose_core.images.crop import crop_faces, square_boxes
from headpose_core.images.image_view import as_view
from headpose_core.learning.data.datasets import FaceReader, LabelledFace
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.learning.data.skipped_faces import OnError
from headpose_core.types import Image
from training.synthesis.shards import write_shard

# As the renderer's: room for a box that is shifted and turned, and pixels enough for the crop.
SURROUNDINGS, CONTEXT_SIZE = 1.35, 152
JPEG_QUALITY = 95
SHARD_FACES = 1000


@dataclass(frozen=True)
class PackConfig:
    """What to pack."""

    data: tuple[str, ...]
    """Data sets as KIND:ROOT."""
    out: Path
    """Directory of the shards."""
    on_error: OnError = "skip"
    """Whether broken files are left out and reported, or stop the run."""


def cut_context(image: Image, box: NDArray[np.float32]) -> tuple[Image, NDArray[np.float32]]:
    """The padded square of a box (4,) with what is around it, and the box in its pixels.

    At most `CONTEXT_SIZE` pixels: shrunk as crops are, never enlarged.
    """
    x1, y1, x2, y2 = square_boxes(box[None])[0]
    margin = round((x2 - x1) * (SURROUNDINGS - 1) / 2)
    window = np.array([x1 - margin, y1 - margin, x2 + margin, y2 + margin])
    side = int(window[2] - window[0])
    size = min(side, CONTEXT_SIZE)
    context = crop_faces(as_view(image), window[None], size)[0]
    return context, ((box - np.tile(window[:2], 2)) * (size / side)).astype(np.float32)


def pack(faces: FaceReader, indices: Iterable[int]) -> dict[str, NDArray[Any]]:
    """Columns of a shard with these faces."""
    chosen = list(indices)
    pictures, boxes = [], []
    for index in chosen:
        face: LabelledFace = faces[index]
        context, box = cut_context(face.image, face.box)
        bgr = cv2.cvtColor(context, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
        pictures.append(np.asarray(data, np.uint8).ravel())
        boxes.append(box)
    return {
        "jpeg": np.concatenate(pictures),
        "offsets": np.cumsum([0, *map(len, pictures)]),
        "angles_deg": faces.angles_deg[chosen].astype(np.float32),
        "box": np.array(boxes, np.float32),
        "detected": faces.detected[chosen],
        "seed": np.array(chosen, np.int64),
        "group": faces.groups[chosen],
    }


def main() -> None:
    """Command line."""
    config = tyro.cli(PackConfig, description=__doc__)
    cv2.setNumThreads(1)
    pool = FacePool(config.data, on_error=config.on_error)
    pool.rescan()
    print(pool.report)
    config.out.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(pool), SHARD_FACES)
    for number, start in enumerate(tqdm(starts, "shards", disable=None)):
        path = config.out / f"shard-{number:05d}.npz"
        if not path.is_file():
            indices = range(start, min(start + SHARD_FACES, len(pool)))
            write_shard(path, pack(pool, indices))
    print(f"{config.out}: {len(pool)} faces; train with --data packed:{config.out}")


if __name__ == "__main__":
    main()
