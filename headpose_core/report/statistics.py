# SPDX-License-Identifier: Apache-2.0
"""What a recording amounts to: how long each face was seen, and how long it faced away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headpose_core.report.recording import FaceTrack, Recording
from headpose_core.types import FloatArray

_GAP_IN_IMAGES = 3.0  # an interval this many times the usual one is a gap


@dataclass(frozen=True)
class Cone:
    """Facing: within half_angle_deg of the direction with these angles of the paper."""

    half_angle_deg: float = 30.0
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.half_angle_deg < 180.0:
            raise ValueError(f"cone: expected 0 to 180 degrees, got {self.half_angle_deg}")

    def is_away(self, face: FaceTrack) -> NDArray[np.bool_]:
        """(n,) bool."""
        return face.off_centre_deg(self.yaw_deg, self.pitch_deg) > self.half_angle_deg


@dataclass(frozen=True)
class FaceTime:
    """Seconds in which a face was seen, was away from the cone, and the longest spell of that."""

    face_id: str
    seen_s: float
    away_s: float
    longest_away_s: float


def durations_s(recording: Recording) -> FloatArray:
    """(M,) how long each image stands for: until the next one, but no longer than is usual."""
    if len(recording.stamps_s) < 2:
        return np.zeros(len(recording.stamps_s))
    steps = np.diff(recording.stamps_s)
    usual = float(np.median(steps))
    return np.append(np.minimum(steps, _GAP_IN_IMAGES * usual), usual)


def gaps(recording: Recording) -> list[tuple[float, float]]:
    """Start and length, seconds since the beginning, of intervals without an image."""
    steps = np.diff(recording.stamps_s)
    if not len(steps):
        return []
    (at,) = np.nonzero(steps > _GAP_IN_IMAGES * np.median(steps))
    start = recording.stamps_s[0]
    return [(float(recording.stamps_s[i] - start), float(steps[i])) for i in at]


def face_times(recording: Recording, cone: Cone) -> list[FaceTime]:
    """One for each face. A spell ends when the face looks back or is not seen in an image."""
    lasts = durations_s(recording)
    found = []
    for face in recording.faces:
        away, here = cone.is_away(face), lasts[face.image]
        longest = spell = 0.0
        last = -1
        for index, is_away, seconds in zip(face.image, away, here, strict=True):
            spell = (spell if index == last + 1 else 0.0) + seconds if is_away else 0.0
            longest, last = max(longest, spell), index
        found.append(
            FaceTime(face.face_id, float(here.sum()), float(here[away].sum()), float(longest))
        )
    return found


def time_without_faces_s(recording: Recording) -> float:
    """Seconds in which no face was found."""
    seen = np.zeros(len(recording.stamps_s), bool)
    for face in recording.faces:
        seen[face.image] = True
    return float(durations_s(recording)[~seen].sum())
