# SPDX-License-Identifier: Apache-2.0
"""The pictures of the documentation, made from rendered heads.

    make pictures ASSETS=makehuman-assets

`angles.png` shows the signs of the three angles; its axes are the labels. `heads.png` shows what
the shipped model makes of heads that it was not trained on, `uncertainty.png` how sure it is of
one head under better and worse conditions, `markers.png` heads in space, `report.png` a page of
`headpose report`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import tyro

from headpose_core.drawing import draw_heads
from headpose_core.faces.detection import GivenBoxes
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_files import write_image
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.types import FloatArray, Image
from tools.pictures.marker_picture import draw_markers
from tools.pictures.report_picture import draw_report
from tools.pictures.studio import labelled, portrait
from training.evaluation.pictures import contact_sheet
from training.synthesis.engine import Engine

TURN_DEG = 30.0
MEANING = {
    "yaw": ("toward the image's right", "toward the image's left"),
    "pitch": ("down", "up"),
    "roll": ("counter-clockwise", "clockwise"),
}


@dataclass(frozen=True)
class PicturesConfig:
    """What to draw from, and where to."""

    assets: Path
    """The MakeHuman parts."""
    out: Path = Path("docs/images")
    seed: int = 1000
    """Of the heads; the shipped model was trained on others."""
    person: int = 11
    """The one whose head shows the angles."""
    frame_size: int = 448


def main() -> None:
    """Command line."""
    config = tyro.cli(PicturesConfig, description=__doc__)
    config.out.mkdir(parents=True, exist_ok=True)
    engine = Engine(config.assets, config.seed, config.frame_size)
    draw_angles(config.out / "angles.png", engine, config.person)
    draw_gallery(config.out / "heads.png", engine)
    draw_uncertainty(config.out / "uncertainty.png", engine, config.person)
    draw_markers(config.out / "markers.png", *two_people(engine))
    small = Engine(config.assets, config.seed, config.frame_size // 2)
    draw_report(
        config.out / "report.png",
        lambda person, angles: small.render(0, small.person(person), portrait(angles)).frame,
    )


def draw_angles(path: Path, engine: Engine, person: int) -> None:
    """One head, turned by each angle alone, both ways."""
    figure, cells = plt.subplots(3, 3, figsize=(8.4, 9.0), dpi=110)
    for row, (name, (negative, positive)) in enumerate(MEANING.items()):
        for column, turn in enumerate((-TURN_DEG, 0.0, TURN_DEG)):
            angles = np.zeros(3)
            angles[row] = turn
            sample = engine.render(0, engine.person(person), portrait(angles))
            cell = cells[row, column]
            cell.imshow(draw_heads(sample.frame, [labelled(sample)]))
            meaning = f": {negative if turn < 0 else positive}" if turn else ""
            value = f"{turn:+.0f}" if turn else "0"
            cell.set_title(f"{name} {value}°{meaning}", fontsize=9)
            cell.axis("off")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def draw_gallery(path: Path, engine: Engine, rows: int = 2, columns: int = 4) -> None:
    """Heads that the detector finds, as the pipeline sees them."""
    pipeline = HeadPosePipeline(YuNet(), HeadPoseModel.load())
    drawn: list[Image] = []
    number = 0
    while len(drawn) < rows * columns:
        # Every fourth picture is another person.
        frame = engine.sample(4 * number).frame
        heads = pipeline(frame, 0.0).heads
        if heads:
            drawn.append(draw_heads(frame, heads))
        number += 1
    write_image(path, contact_sheet(drawn, columns))


def draw_uncertainty(path: Path, engine: Engine, person: int) -> None:
    """The same head clear, blurred, dark, covered and in profile, with what the model says."""
    model = HeadPoseModel.load()
    figure, cells = plt.subplots(1, 5, figsize=(12.5, 3.0), dpi=110)
    for cell, (name, (angles, spoil)) in zip(cells, CONDITIONS.items(), strict=True):
        sample = engine.render(0, engine.person(person), portrait(np.array(angles)))
        frame = spoil(sample.frame, sample.frame_box)
        box = GivenBoxes(sample.frame_box[None])
        (head,) = HeadPosePipeline(box, model)(frame, 0.0).heads
        cell.imshow(draw_heads(frame, [head]))
        yaw, pitch, roll = head.std_deg
        cell.set_title(f"{name}\nsigma {yaw:.0f}, {pitch:.0f}, {roll:.0f} degrees", fontsize=9)
        cell.axis("off")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def two_people(engine: Engine) -> tuple[Image, FloatArray]:
    """A wide image with two heads, and their boxes (2, 4)."""
    left = engine.render(0, engine.person(3), portrait(np.array([-25.0, 5.0, 0.0])))
    right = engine.render(0, engine.person(11), portrait(np.array([35.0, -10.0, 5.0])))
    shift = np.array([left.frame.shape[1], 0, left.frame.shape[1], 0])
    return np.hstack([left.frame, right.frame]), np.stack(
        [left.frame_box, right.frame_box + shift]
    )


def covered(frame: Image, box: FloatArray) -> Image:
    """The lower half of the face behind a sheet."""
    x1, y1, x2, y2 = np.round(box).astype(int)
    shown: Image = frame.copy()
    shown[(y1 + y2) // 2 : y2 + 10, x1 - 10 : x2 + 10] = 120
    return shown


def dark(frame: Image, box: FloatArray) -> Image:
    """A twentieth of the light, and the noise that a camera then has."""
    noise = np.random.default_rng(0).normal(0.0, 6.0, frame.shape)
    return np.asarray(np.clip(frame * 0.05 + noise, 0, 255), np.uint8)


def blurred(frame: Image, box: FloatArray) -> Image:
    """The lens far out of focus."""
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), 14.0), np.uint8)


CONDITIONS: dict[str, tuple[tuple[float, float, float], Callable[[Image, FloatArray], Image]]] = {
    "clear": ((15.0, 5.0, 0.0), lambda frame, box: frame),
    "blurred": ((15.0, 5.0, 0.0), blurred),
    "dark": ((15.0, 5.0, 0.0), dark),
    "covered": ((15.0, 5.0, 0.0), covered),
    "profile": ((80.0, 5.0, 0.0), lambda frame, box: frame),
}


if __name__ == "__main__":
    main()
