# SPDX-License-Identifier: Apache-2.0
"""Training views: a labelled face to a crop as the detector and the camera might deliver it.

Geometry is one warp of the source image, so that nothing is resampled twice; it changes the
label through the rotation matrix. What happens to the pixels of the crop is in `degrade.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from headpose_core.geometry.rotation import angles_from_matrix, matrix_from_angles, mirror_angles
from headpose_core.images.crop import CROP_SIZE, Fit, crop_faces, crop_windows
from headpose_core.images.image_view import as_view
from headpose_core.learning.data.degrade import DegradeConfig, degrade
from headpose_core.learning.data.skipped_faces import LARGEST_ANGLE_DEG
from headpose_core.types import FloatArray, Image

# Half of a quarter turn.
FARTHEST_TURN_DEG = 45.0


@dataclass(frozen=True)
class GeometryConfig:
    """How far a view may leave the labelled box; 0 switches a part off."""

    flip: float = 0.5
    """Share of mirrored views, labelled (-yaw, pitch, -roll)."""
    shift: float = 0.05
    """Standard deviation of the box centre, in sides of the box: as much as detectors differ."""
    scale: float = 0.07
    """Standard deviation of the logarithm of the box side."""
    rotate: float = 0.3
    """Share of views that are turned in the image plane, relabelled through the matrix."""
    rotate_deg: float = 10.0
    """Standard deviation of that turn in degrees."""
    rotate_far: float = 0.1
    """Share of views that are turned by up to 45 degrees either way instead: what is left of a
    head's roll when a picture is held upright by quarter turns."""


@dataclass(frozen=True)
class AugmentConfig:
    """Everything that is varied between two views of a face; a share of 0 switches a part off."""

    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    degrade: DegradeConfig = field(default_factory=DegradeConfig)
    parts: Literal["ours", "paper"] = "ours"
    """`paper` is the flip, exposure, blur and resampling of its section 4.1 at the shares above
    and nothing else; `ours` is all of it."""

    def in_use(self) -> AugmentConfig:
        """With the shares that `parts` leaves."""
        if self.parts == "ours":
            return self
        geometry = GeometryConfig(
            self.geometry.flip, shift=0.0, scale=0.0, rotate=0.0, rotate_far=0.0
        )
        return AugmentConfig(geometry, self.degrade.of_the_paper())


@dataclass(frozen=True)
class Jitter:
    """One draw of the geometry: shift in sides of the box, scale, turn, mirrored."""

    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    turn_deg: float = 0.0
    flip: bool = False


def draw_jitter(config: GeometryConfig, rng: np.random.Generator) -> Jitter:
    """Random geometry of one view."""
    dx, dy, log_scale, turn = rng.standard_normal(4)
    turned = rng.random() < config.rotate
    turn_deg = config.rotate_deg * turn if turned else 0.0
    if rng.random() < config.rotate_far:
        turn_deg = rng.uniform(-FARTHEST_TURN_DEG, FARTHEST_TURN_DEG)
    return Jitter(
        shift=(config.shift * dx, config.shift * dy),
        scale=float(np.exp(config.scale * log_scale)),
        turn_deg=turn_deg,
        flip=bool(rng.random() < config.flip),
    )


def turn_label(angles_deg: FloatArray, turn_deg: float) -> FloatArray | None:
    """Label (3,) of a head whose image is turned clockwise by `turn_deg`: Rz(turn) R.

    None where Euler angles cannot say it: a yaw beyond 90 degrees, or a result that the
    evaluation of the field would leave out.
    """
    if abs(angles_deg[0]) > 90.0:
        return None
    turn = matrix_from_angles(np.array([0.0, 0.0, turn_deg]))
    turned = angles_from_matrix(turn @ matrix_from_angles(angles_deg))
    return turned if np.abs(turned).max() <= LARGEST_ANGLE_DEG else None


def warp_to_crop(
    image: Image, box: NDArray[np.float32], jitter: Jitter, size: int, fit: Fit = "pad"
) -> Image:
    """Crop (size, size, 3) of the jittered window of `box`; black outside the image.

    Without jitter it agrees with `crop.crop_faces` up to rounding. Shrinks through a
    multiple of `size`, because a bilinear warp alone would alias.
    """
    x1, y1, x2, y2 = crop_windows(box[None], fit)[0].astype(np.float64)
    window = np.array([x2 - x1, y2 - y1])
    sides = window * jitter.scale
    centre = np.array([x1, y1]) + window * (0.5 + np.array(jitter.shift))
    oversampling = max(1, int(np.ceil(sides.max() / size - 0.25)))
    resolution = size * oversampling
    turn = np.radians(jitter.turn_deg)
    # Maps a pixel of the crop to the image: undo the mirror, scale, undo the turn.
    linear = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    linear = linear * np.array([-1.0 if jitter.flip else 1.0, 1.0]) * (sides / resolution)
    offset = centre - 0.5 - linear @ np.full(2, (resolution - 1) / 2)
    view = cv2.warpAffine(
        image,
        np.hstack([linear, offset[:, None]]),
        (resolution, resolution),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )
    if oversampling > 1:
        view = cv2.resize(view, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(view, np.uint8)


def plain_view(
    image: Image, box: NDArray[np.float32], size: int = CROP_SIZE, fit: Fit = "pad"
) -> Image:
    """The crop of run time, (size, size, 3): no augmentation."""
    return np.asarray(crop_faces(as_view(image), crop_windows(box[None], fit), size)[0])


def training_views(
    image: Image,
    box: NDArray[np.float32],
    angles_deg: FloatArray,
    config: AugmentConfig,
    size: int,
    rng: np.random.Generator,
    fit: Fit = "pad",
    both_ways: bool = False,
) -> tuple[Image, FloatArray]:
    """A random view of a labelled face, and with `both_ways` another one that is mirrored to it.

    Only the turn in the image plane is common to the two, so that their labels are mirror images
    of each other; what happens to the pixels is drawn for each.
    image: (H, W, 3) uint8 RGB. box: (4,) pixels. angles_deg: (3,) yaw, pitch, roll.
    Returns crops (W, size, size, 3) uint8 and labels (W, 3) float64 in degrees; W is 1 or 2.
    """
    config = config.in_use()
    jitter = draw_jitter(config.geometry, rng)
    label = np.asarray(angles_deg, np.float64)
    turned = turn_label(label, jitter.turn_deg) if jitter.turn_deg else label
    if turned is None:
        jitter, turned = replace(jitter, turn_deg=0.0), label
    jitters = [jitter]
    if both_ways:
        other = draw_jitter(config.geometry, rng)
        jitters.append(replace(other, turn_deg=jitter.turn_deg, flip=not jitter.flip))
    views = [warp_to_crop(image, box, one, size, fit) for one in jitters]
    crops = [degrade(view, config.degrade, rng) for view in views]
    labels = [mirror_angles(turned) if one.flip else turned for one in jitters]
    return np.stack(crops), np.stack(labels)


NO_AUGMENTATION = AugmentConfig(
    GeometryConfig(flip=0.0, shift=0.0, scale=0.0, rotate=0.0, rotate_far=0.0),
    DegradeConfig.off(),
)
