# SPDX-License-Identifier: Apache-2.0
"""Training shards on disk: made piece by piece, whole or not at all, the same on every run.

A shard is an .npz with these arrays (N images):

    jpeg       (total,) uint8   the JPEG files of the context images, one after the other
    offsets    (N+1,) int64     where each one starts; the last is the end
    angles_deg (N,3) float32    yaw, pitch, roll about the viewing ray, paper convention
    box        (N,4) float32    face box x1, y1, x2, y2 in context pixels
    detected   (N,) bool        the box is the detector's own (else fitted to its boxes)
    seed       (N,) int64       image number; with the run's seed it gives the image again
    group      (N,) int64       person number: one person's images are never split
    sex, age, race, skin, glasses, mask, distance_m, shadow, family (makehuman or ict), landmarks
    (N,68,2) in context pixels

The crop of run time is ``crop_faces(context, square_boxes(box))``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.images.crop import CROP_RULE
from headpose_core.output_files import atomic_write
from training.synthesis import GENERATOR_VERSION
from training.synthesis.engine import (
    CONTEXT_SCALE,
    CONTEXT_SIZE,
    VIEWS_PER_PERSON,
    Engine,
    Sample,
)
from training.synthesis.no_faces import NoFaces
from training.synthesis.zero_pose import ZERO_POSE

SHARD_IMAGES = 1000
JPEG_QUALITY = 95


@dataclass(frozen=True)
class Plan:
    """count images from ``seed``; this process makes the shards k with k % parts == part."""

    count: int
    seed: int
    part: int = 0
    parts: int = 1

    def shards(self) -> list[int]:
        """Numbers of this process' shards."""
        return list(range(self.part, -(-self.count // SHARD_IMAGES), self.parts))

    def images(self, shard: int) -> range:
        """Image numbers of a shard."""
        start = shard * SHARD_IMAGES
        return range(start, min(start + SHARD_IMAGES, self.count))


def shard_path(folder: Path, shard: int) -> Path:
    """File of shard number ``shard``."""
    return folder / f"shard-{shard:05d}.npz"


def write_meta(
    folder: Path, plan: Plan, device: str, panoramas: dict[str, str] | None = None
) -> None:
    """Write meta.json, or check it: a folder never mixes seeds, generator versions or panoramas.

    panoramas: their names and the hashes of their files.

    Raises ValueError when the folder holds shards of another run.
    """
    meta: dict[str, Any] = {
        "generator_version": GENERATOR_VERSION,
        "seed": plan.seed,
        "count": plan.count,
        "shard_images": SHARD_IMAGES,
        "context_size": CONTEXT_SIZE,
        "context_scale": CONTEXT_SCALE,
        "crop_rule": CROP_RULE,
        "zero_pose": ZERO_POSE.tolist(),
        "device": device,
        "panoramas": panoramas or {},
    }
    path = folder / "meta.json"
    if path.is_file():
        known = json.loads(path.read_text())
        for key in ("generator_version", "seed", "panoramas"):
            if known.get(key, {}) != meta[key]:
                raise ValueError(
                    f"{path}: expected {key} {meta[key]} of this run, found {known.get(key)}; "
                    "write to another folder or pass the seed of that one"
                )
        if known["count"] >= plan.count:
            return
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps(meta, indent=1))


def make_shard(
    engine: Engine, images: range, no_faces: NoFaces | None = None
) -> dict[str, NDArray[Any]]:
    """Render the images and pack them as the arrays of a shard; with ``no_faces`` those."""
    if no_faces is not None:
        samples = [_packed(no_faces.row(index)) for index in images]
    else:
        samples = [_row(engine.sample(index)) for index in images]
    columns = {key: np.array([row[key] for row in samples]) for key in samples[0] if key != "jpeg"}
    sizes = [len(row["jpeg"]) for row in samples]
    columns["offsets"] = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    columns["jpeg"] = np.concatenate([row["jpeg"] for row in samples])
    return columns


def write_shard(path: Path, columns: dict[str, NDArray[Any]]) -> None:
    """Write a shard; a kill leaves no half file."""
    with atomic_write(path) as unfinished:
        np.savez(unfinished, **columns)  # type: ignore[arg-type]


def _packed(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its picture ``context`` as ``jpeg``."""
    return {"jpeg": _jpeg(row.pop("context"), int(row["seed"])), **row}


def _jpeg(context: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    bgr = np.ascontiguousarray(context[..., ::-1])
    ok, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise RuntimeError(f"image {index}: JPEG encoding failed")
    return np.asarray(jpeg.ravel(), np.uint8)


def _row(sample: Sample) -> dict[str, Any]:
    person, scene = sample.person, sample.scene
    return {
        "jpeg": _jpeg(sample.context, sample.index),
        "angles_deg": np.array(scene.angles_deg, np.float32),
        "box": sample.box,
        "detected": sample.detected,
        "seed": np.int64(sample.index),
        "group": np.int64(sample.index // VIEWS_PER_PERSON),
        "landmarks": sample.context_landmarks,
        "sex": "male" if person.maleness > 0.5 else "female",
        "age": person.age,
        "race": np.array(person.race, np.float32),
        "skin": person.skin.name,
        "glasses": person.glasses is not None,
        "mask": person.mask_colour is not None,
        "distance_m": np.float32(scene.distance_m),
        "shadow": np.float32(scene.lighting.shadow),
        "family": "ict" if "scan/mean" in person.weights else "makehuman",
    }
