# SPDX-License-Identifier: Apache-2.0
"""What a tracker is: the boxes of one image after another to ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from numpy.typing import ArrayLike

from headpose_core.settings import Settings, setting


@dataclass(frozen=True)
class Track:
    """What the tracker knows about one face in this image.

    face_id: prefix and number, constant along the track, never given twice by one tracker.
    age: images since the track began, 1 in its first one.
    confirmed: it has been seen in ``min_hits`` images.
    """

    face_id: str
    age: int
    confirmed: bool


UNTRACKED = Track(face_id="", age=0, confirmed=False)  # stand-in of a pipeline without a tracker


@dataclass(frozen=True)
class TrackerSettings(Settings):
    """Settings of a tracker. Where images come more slowly than ``max_gap_s``, a face must be in
    each of them to keep its id."""

    max_gap_s: float = setting(
        0.3, "How long a lost face keeps its id.", unit="s", limits=(0.0, 3600.0)
    )
    min_hits: int = setting(2, "Images with a face before its TF frame is sent.", limits=(1, 1000))


class FaceTracker(Protocol):
    """Gives each face an id and keeps it from image to image.

    settings: may be replaced between two images.
    """

    settings: TrackerSettings

    def update(self, stamp_s: float, boxes: ArrayLike) -> Sequence[Track]:
        """One track per box (N, 4) of the image at ``stamp_s`` seconds, in their order."""
        ...

    def interrupted(self, stamp_s: float) -> bool:
        """Whether no face keeps its id in an image at ``stamp_s``."""
        ...

    def reset(self) -> None:
        """Forget all faces. Their ids are not given again."""
        ...
