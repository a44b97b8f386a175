# SPDX-License-Identifier: Apache-2.0
"""From an image to the heads in it: read ``HeadPosePipeline.__call__`` first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headpose_core.faces.face_detector import FaceDetector
from headpose_core.faces.face_tracker import UNTRACKED, FaceTracker, Track
from headpose_core.faces.following import FaceFollower
from headpose_core.geometry.camera_model import (
    FaceRays,
    is_calibrated,
    same_calibration,
    sellion_positions,
)
from headpose_core.geometry.orientation_filter import OrientationFilter
from headpose_core.geometry.rotation import matrix_from_angles, orientation_covariance
from headpose_core.images.image_view import ImageView, as_view
from headpose_core.pose.pose_model import Estimate, PoseModel
from headpose_core.pose.upright import UprightSearch
from headpose_core.settings import Settings, setting
from headpose_core.types import Camera, Faces, FloatArray, Frame, Head, Image

# Keys of ``Frame.timings_ms``, in the order in which an image goes through them.
STAGES = ("detect", "track", "crop", "infer", "decode", "locate")


@dataclass(frozen=True)
class PipelineSettings(Settings):
    """Settings of the pipeline itself; detector, tracker and filter have their own."""

    max_faces: int = setting(
        8, "Faces per image; large, certain and known ones are kept.", limits=(1, 1000)
    )
    detect_every: int = setting(
        1,
        "Detect in one image of so many and follow the faces between; new ones come later.",
        limits=(1, 1000),
    )
    perspective_correction: bool = setting(
        True, "Turn orientations by the viewing ray of the face, if the camera is calibrated."
    )
    face_height_m: float = setting(
        0.19,
        "Chin to hairline of an average face; the distance follows from it.",
        unit="m",
        limits=(0.05, 1.0),
    )


class HeadPosePipeline:
    """Detector, pose network, tracker and filter in a row.

    The node, the command line, the evaluation and the benchmarks all call this object. Without a
    tracker the heads have no ids and are not filtered. ``settings``, and those of ``detector``,
    ``tracker`` and ``filter``, may be replaced between two images. Everything runs in the caller's
    thread, and one pipeline serves one image stream.
    """

    def __init__(
        self,
        detector: FaceDetector,
        model: PoseModel,
        tracker: FaceTracker | None = None,
        settings: PipelineSettings | None = None,
    ) -> None:
        self.detector = detector
        self.model = model
        self.tracker = tracker
        self.settings = settings or PipelineSettings()
        self.filter = OrientationFilter()
        self._follower = FaceFollower()
        self._upright = UprightSearch()
        self._last: _Circumstances | None = None

    def reset(self) -> None:
        """Forget all faces: the next image is detected in, and its faces have new ids."""
        self._follower.reset()
        self._upright.reset()
        if self.tracker:
            self.tracker.reset()

    def __call__(
        self,
        image: Image | ImageView,
        stamp_s: float,
        camera: Camera | None = None,
        camera_orientation: FloatArray | None = None,
    ) -> Frame:
        """The heads in one image.

        image: (H, W, 3) uint8 RGB, or a view of one in another encoding. stamp_s: its time in
        seconds. camera: of this image, if known. camera_orientation: (3, 3) the axes of the
        optical frame, as columns, in a frame that does not turn, in which to filter; None: the
        camera stands still; NaN: not known for this image, whose poses are then not filtered.
        Raises ImageError for an array that is no such image.
        """
        view, clock, settings = as_view(image), _Stopwatch(), self.settings
        self._reset_what_changed(view, stamp_s, camera, camera_orientation)
        with clock.stage("detect"):
            every, max_faces = settings.detect_every, settings.max_faces
            faces = self._follower.find(self.detector, view, every, max_faces)
        with clock.stage("track"):
            tracks = self._track(stamp_s, faces)
            ids = [track.face_id for track in tracks]
        with clock.stage("crop"):
            crops = self.model.crop(view, faces.boxes)
        with clock.stage("infer"):
            first_turn = self.detector.settings.image_turn // 90
            outputs, quarters = self._upright.infer(self.model, crops, ids, stamp_s, first_turn)
        with clock.stage("decode"):
            estimate = self.model.decode(outputs).turned_back(quarters)
        with clock.stage("locate"):
            rays = FaceRays.of(camera, faces.boxes)
            oriented = self._orient(stamp_s, ids, estimate, rays, camera_orientation)
            heads = self._locate(faces, tracks, estimate, oriented, rays)
        return Frame(stamp_s, heads, clock.times_ms)

    def _track(self, stamp_s: float, faces: Faces) -> Sequence[Track]:
        """Which face is which."""
        if self.tracker is None:
            return [UNTRACKED] * len(faces)
        return self.tracker.update(stamp_s, faces.boxes)

    def _orient(
        self,
        stamp_s: float,
        ids: Sequence[str],
        estimate: Estimate,
        rays: FaceRays,
        camera_orientation: FloatArray | None,
    ) -> _Oriented:
        """Orientations in the optical frame, filtered along the tracks."""
        corrected = rays.known and self.settings.perspective_correction
        rotations = matrix_from_angles(estimate.mean_deg)
        R_ray = rays.rotations if corrected else np.broadcast_to(np.eye(3), rotations.shape)
        covariances = orientation_covariance(estimate.mean_deg, estimate.std_deg)
        covariances = R_ray @ covariances @ _transposed(R_ray)
        if self.tracker is None:
            return _Oriented(corrected, R_ray, R_ray @ rotations, covariances)
        self._upright.follow(ids, rotations)
        given = R_ray @ rotations, covariances
        filtered = self.filter.update(stamp_s, ids, *given, camera_orientation)
        return _Oriented(corrected, R_ray, *filtered)

    def _locate(
        self,
        faces: Faces,
        tracks: Sequence[Track],
        estimate: Estimate,
        oriented: _Oriented,
        rays: FaceRays,
    ) -> tuple[Head, ...]:
        """The heads, with their positions where the camera is calibrated."""
        rotations = _transposed(oriented.R_ray) @ oriented.orientations
        positions, position_covariances = sellion_positions(
            rays, rotations, self.settings.face_height_m
        )
        return tuple(
            Head(
                box=faces.boxes[i],
                score=float(faces.scores[i]),
                paper_angles_deg=estimate.mean_deg[i],
                std_deg=estimate.std_deg[i],
                extrapolated=bool(estimate.extrapolated[i]),
                rotation=rotations[i],
                ray_rotation=oriented.R_ray[i],
                covariance=oriented.covariances[i],
                position=positions[i],
                position_covariance=position_covariances[i],
                perspective_corrected=oriented.corrected,
                face_id=track.face_id,
                track_age=track.age,
                confirmed=track.confirmed,
            )
            for i, track in enumerate(tracks)
        )

    def _reset_what_changed(
        self,
        view: ImageView,
        stamp_s: float,
        camera: Camera | None,
        camera_orientation: FloatArray | None,
    ) -> None:
        """Reset what a new image size, calibration, frame of reference or a jump in time makes
        invalid.

        Another size: boxes are in other places, so the tracks end. Time goes back, or so much is
        missing that tracks end by themselves: no face is near its old place. Another calibration
        or frame: orientations are others, so the filter begins anew.
        """
        used = camera if self.settings.perspective_correction and is_calibrated(camera) else None
        now = _Circumstances(stamp_s, view.shape[:2], used, camera_orientation is None)
        last, self._last = self._last, now
        if last is None:
            return
        if now.size != last.size:
            self.reset()
        elif stamp_s < last.stamp_s or (self.tracker and self.tracker.interrupted(stamp_s)):
            self._follower.reset()
        if now.fixed != last.fixed or not same_calibration(now.camera, last.camera):
            self.filter.reset()


@dataclass(frozen=True)
class _Circumstances:
    """What memory of earlier images depends on: their time, size (H, W), the camera that turned
    the poses, and whether the camera stands still."""

    stamp_s: float
    size: tuple[int, ...]
    camera: Camera | None
    fixed: bool


@dataclass(frozen=True)
class _Oriented:
    """N heads: ``R_ray``, ``orientations`` and ``covariances`` are (N, 3, 3), optical frame.
    corrected: whether R_ray holds the viewing ray, or is the identity."""

    corrected: bool
    R_ray: FloatArray
    orientations: FloatArray
    covariances: FloatArray


class _Stopwatch:
    """Milliseconds of each stage, by name."""

    def __init__(self) -> None:
        self.times_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.times_ms[name] = (time.perf_counter() - begun) * 1e3


def _transposed(matrices: FloatArray) -> NDArray[np.float64]:
    return np.swapaxes(matrices, -1, -2)
