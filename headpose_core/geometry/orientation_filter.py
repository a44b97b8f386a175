# SPDX-License-Identifier: Apache-2.0
"""Orientations without jitter: the One Euro filter on SO(3).

Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012: a low-pass whose cutoff rises with speed, so
that a still head stands still and a turning one does not lag. Here a step goes along the shortest
rotation to the new orientation, and the speed is the length of the angular velocity: one number
for all axes, so the result does not depend on the axes that the frame happens to have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from headpose_core.settings import Settings, setting
from headpose_core.types import FloatArray

# Cutoff of the angular velocity. The paper's 1 Hz keeps noise from raising the cutoff of a still
# head, and a turn is followed soon enough: see docs/tracking.md.
_SPEED_CUTOFF_HZ = 1.0
# After a longer gap the old orientation says nothing about the new one.
_LONGEST_GAP_S = 1.0


@dataclass(frozen=True)
class FilterSettings(Settings):
    """Settings of the filter."""

    enabled: bool = setting(
        True, "Filter orientations along a track; paper_angles stay unfiltered."
    )
    min_cutoff_hz: float = setting(
        0.7,
        "Cutoff of the filter for a still head; lower is smoother.",
        unit="Hz",
        limits=(0.001, 1000.0),
    )
    beta: float = setting(
        0.05,
        "How fast the cutoff rises with speed; higher follows turns more closely.",
        unit="Hz per degree/s",
        limits=(0.0, 100.0),
    )


@dataclass(frozen=True)
class _State:
    """Of one head: when it was last seen, what came in, what went out; velocity (3,) in rad/s."""

    stamp_s: float
    given: FloatArray
    filtered: FloatArray
    covariance: FloatArray
    velocity: FloatArray


class OrientationFilter:
    """One filter per face id. settings: may be replaced between two images."""

    def __init__(self, settings: FilterSettings | None = None) -> None:
        self.settings = settings or FilterSettings()
        self._states: dict[str, _State] = {}
        self._stamp_s = -math.inf

    def reset(self) -> None:
        """Begin anew with the next image."""
        self._states.clear()

    def update(
        self,
        stamp_s: float,
        ids: Sequence[str],
        rotations: ArrayLike,
        covariances: ArrayLike,
        frame: ArrayLike | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Filter the orientations of the heads in one image.

        stamp_s: of the image, seconds; when it goes back, all begins anew. ids: of the N heads.
        rotations: (N, 3, 3). covariances: (N, 3, 3) rad^2 of the small rotation that separates
        truth from estimate, in the same axes. frame: (3, 3) those axes, as columns, in a frame
        that does not turn; None: they do not turn themselves; NaN: not known now.
        Returns both, filtered, in the axes in which they came. A head that is new, or has not
        been seen for a second, comes out as it went in, and so does any when ``frame`` is NaN or
        the stamp is that of the last image: in no time nothing can be filtered.
        """
        settings = self.settings
        rotations = np.array(rotations, np.float64)
        covariances = np.array(covariances, np.float64)
        axes = np.eye(3) if frame is None else np.asarray(frame, np.float64)
        if axes.shape != (3, 3):
            raise ValueError(f"expected the axes of a frame as (3, 3), got {axes.shape}")
        if not settings.enabled or stamp_s < self._stamp_s:
            self.reset()
        repeated = stamp_s == self._stamp_s
        self._stamp_s = stamp_s
        if not settings.enabled or repeated or not np.isfinite(axes).all():
            return rotations, covariances
        self._states = {
            face_id: state
            for face_id, state in self._states.items()
            if stamp_s - state.stamp_s <= _LONGEST_GAP_S
        }
        for i, face_id in enumerate(ids):
            given, covariance = axes @ rotations[i], axes @ covariances[i] @ axes.T
            state = _step(self._states.get(face_id), stamp_s, given, covariance, settings)
            self._states[face_id] = state
            rotations[i] = axes.T @ state.filtered
            covariances[i] = axes.T @ _with_lag(state) @ axes
        return rotations, covariances


def _step(
    last: _State | None,
    stamp_s: float,
    given: FloatArray,
    covariance: FloatArray,
    settings: FilterSettings,
) -> _State:
    if last is None:
        return _State(stamp_s, given, given, covariance, np.zeros(3))
    dt = stamp_s - last.stamp_s
    speed_now = _vector(given @ last.given.T) / dt
    velocity = last.velocity + _share(_SPEED_CUTOFF_HZ, dt) * (speed_now - last.velocity)
    speed_deg = math.degrees(float(np.linalg.norm(velocity)))
    share = _share(settings.min_cutoff_hz + settings.beta * speed_deg, dt)
    step = _matrix(share * _vector(given @ last.filtered.T))
    # The errors of successive images are not independent: the network makes much the same one on
    # the same face. Of a weighted mean, the weighted mean of the covariances is an upper bound
    # whatever the correlation, and exact when it is full.
    mixed = (1.0 - share) * last.covariance + share * covariance
    return _State(stamp_s, given, step @ last.filtered, mixed, velocity)


def _share(cutoff_hz: float, dt_s: float) -> float:
    """The share of the new value in a first-order low-pass (the paper's alpha)."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff_hz * dt_s))


def _with_lag(state: _State) -> FloatArray:
    """The covariance of what goes out: what it lags behind what came in is in doubt as well."""
    lag = _vector(state.given @ state.filtered.T)
    return np.asarray(state.covariance + np.outer(lag, lag))


def _vector(rotation: FloatArray) -> FloatArray:
    """Axis times angle (3,) in radians; OpenCV calls less than 1e-5 none."""
    return np.asarray(cv2.Rodrigues(rotation)[0], np.float64).ravel()


def _matrix(vector: FloatArray) -> FloatArray:
    return np.asarray(cv2.Rodrigues(vector)[0], np.float64)
