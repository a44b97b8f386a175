# SPDX-License-Identifier: Apache-2.0
"""From an image to the heads in it: read ``HeadPosePipeline.__call__`` first."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headpose_core import rotation
from headpose_core.camera import (
    is_calibrated,
    ray_rotation,
    same_calibration,
    sellion_positions,
    viewing_ray,
)
from headpose_core.filtering import FilterSettings, OrientationFilter
from headpose_core.following import FaceFinder
from headpose_core.image import check_image
from headpose_core.image_view import AnyImage
from headpose_core.tracking import Track
from headpose_core.types import Camera, FloatArray, Frame, Head

if TYPE_CHECKING:
    from headpose_core.detection import FaceDetector
    from headpose_core.runtime import PoseModel
    from headpose_core.tracking import Tracker


@dataclass(frozen=True)
class PipelineConfig:
    """What may change from one image to the next.

    max_faces: the largest ones are kept, 1 or more.
    perspective_correction: turn the pose by the viewing ray of the face where the camera is
        calibrated, so that it holds in the optical frame and not only about the ray.
    face_height_m: metres from the chin to the hairline of an average face, for the distance.
    filter: of the orientations along a track; without a tracker nothing is filtered.
    detect_every: look for faces in one image of so many, and in those between only where they
        were (see ``following``); new faces come as much later. 1: in every image.
    """

    max_faces: int = 8
    perspective_correction: bool = True
    face_height_m: float = 0.19
    filter: FilterSettings = field(default_factory=FilterSettings)
    detect_every: int = 1

    def __post_init__(self) -> None:
        if self.max_faces < 1:
            raise ValueError(f"max_faces: expected 1 or more, got {self.max_faces}")
        if not 1 <= self.detect_every <= 1000:
            raise ValueError(f"detect_every: expected 1 to 1000 images, got {self.detect_every}")
        if not 0.05 <= self.face_height_m <= 1.0:
            raise ValueError(f"face_height_m: expected 0.05 to 1 metres, got {self.face_height_m}")


# What the tracker would say if there were one.
_NO_TRACK = [Track(face_id="", age=0, confirmed=False)]


class HeadPosePipeline:
    """Detector, pose network, tracker and filter in a row.

    The node, the command line, the evaluation and the benchmarks all call this object. Without a
    tracker the heads have no ids and are not filtered. ``config`` may be replaced between two
    images; everything runs in the caller's thread, and one pipeline serves one image stream.
    """

    def __init__(
        self,
        detector: FaceDetector,
        model: PoseModel,
        tracker: Tracker | None = None,
        config: PipelineConfig | None = None,
    ) -> None:
        self.detector = detector
        self.model = model
        self.tracker = tracker
        self.config = config or PipelineConfig()
        self._finder = FaceFinder()
        self._filter = OrientationFilter()
        self._view: _View | None = None

    def look_again(self) -> None:
        """Ask the detector in the next image, as after a change of its settings."""
        self._finder.reset()

    def reset(self) -> None:
        """Forget all faces: in the next image they are looked for, and their ids are new."""
        self._finder.reset()
        if self.tracker:
            self.tracker.reset()

    def __call__(
        self,
        image: AnyImage,
        stamp_s: float,
        camera: Camera | None = None,
        camera_orientation: FloatArray | None = None,
    ) -> Frame:
        """The heads in one image.

        image: (H, W, 3) uint8 RGB, or a view of one in another encoding. stamp_s: its time in
        seconds. camera: of this image, if known.
        camera_orientation: (3, 3) the axes of the optical frame, as columns, in a frame that does
        not turn, in which to filter; None: the camera stands still; NaN: not known for this image,
        whose poses are then not filtered. Raises ImageError for an array that is no such image.
        """
        check_image(image)
        config, stages = self.config, _Stopwatch()
        corrected = config.perspective_correction and is_calibrated(camera)
        onto_rays = camera if corrected else None
        self._look(_View(stamp_s, image.shape[:2], onto_rays, camera_orientation is None))

        faces = self._finder.find(self.detector, image, config.detect_every, config.max_faces)
        stages.lap("detect")

        crops = self.model.crop(image, faces.boxes)
        stages.lap("crop")

        outputs = self.model.infer(crops)
        stages.lap("infer")

        estimate = self.model.decode(outputs)
        rotations = rotation.matrix_from_angles(estimate.mean_deg)
        covariances = rotation.orientation_covariance(estimate.mean_deg, estimate.std_deg)
        stages.lap("decode")

        tracks = (
            self.tracker.update(stamp_s, faces.boxes) if self.tracker else _NO_TRACK * len(faces)
        )
        stages.lap("track")

        R_ray = _rotations_onto_rays(faces.boxes, onto_rays)
        orientations, covariances = R_ray @ rotations, R_ray @ covariances @ _transposed(R_ray)
        if self.tracker:
            ids = [track.face_id for track in tracks]
            orientations, covariances = self._filter.update(
                stamp_s, ids, orientations, covariances, config.filter, camera_orientation
            )
            rotations = _transposed(R_ray) @ orientations
        stages.lap("filter")

        positions, position_covariances = _positions(
            faces.boxes, rotations, camera, config.face_height_m
        )
        heads = tuple(
            Head(
                box=faces.boxes[i],
                score=float(faces.scores[i]),
                paper_angles_deg=estimate.mean_deg[i],
                std_deg=estimate.std_deg[i],
                extrapolated=bool(estimate.extrapolated[i]),
                rotation=rotations[i],
                ray_rotation=R_ray[i],
                covariance=covariances[i],
                position=positions[i],
                position_covariance=position_covariances[i],
                perspective_corrected=corrected,
                face_id=track.face_id,
                track_age=track.age,
                confirmed=track.confirmed,
            )
            for i, track in enumerate(tracks)
        )
        stages.lap("place")
        return Frame(stamp_s, heads, stages.times_ms)

    def _look(self, view: _View) -> None:
        """Begin anew when another camera looks, or at another time, or it is known in another way.

        Boxes in images of another size are in other places: then the tracks end. When time goes
        back, or so much is missing that tracks end by themselves, no face is near its old place.
        Orientations by another calibration, or in another frame, are others: then the filter
        begins anew.
        """
        last, self._view = self._view, view
        if last is None:
            return
        back = view.stamp_s < last.stamp_s
        if view.size != last.size:
            self.reset()
        elif back or (self.tracker and self.tracker.interrupted(view.stamp_s)):
            self._finder.reset()
        if view.fixed != last.fixed or not same_calibration(view.camera, last.camera):
            self._filter.reset()


@dataclass(frozen=True)
class _View:
    """How an image was looked at: when, its (H, W), the camera that turned its poses, whether the
    camera stands still."""

    stamp_s: float
    size: tuple[int, ...]
    camera: Camera | None
    fixed: bool


def _rotations_onto_rays(boxes: NDArray[np.float32], camera: Camera | None) -> FloatArray:
    """R_ray (N, 3, 3) of boxes (N, 4); the identity without a camera."""
    if camera is None:
        return np.broadcast_to(np.eye(3), (len(boxes), 3, 3))
    return ray_rotation(viewing_ray(camera, (boxes[:, :2] + boxes[:, 2:]) / 2))


def _positions(
    boxes: NDArray[np.float32], rotations: FloatArray, camera: Camera | None, face_height_m: float
) -> tuple[FloatArray, FloatArray]:
    """Of the sellions (N, 3) m and their covariances (N, 3, 3) m^2; NaN when uncalibrated."""
    if is_calibrated(camera):
        return sellion_positions(camera, boxes, rotations, face_height_m)
    return np.full((len(boxes), 3), np.nan), np.full((len(boxes), 3, 3), np.nan)


def _transposed(matrices: FloatArray) -> FloatArray:
    return np.swapaxes(matrices, -1, -2)


class _Stopwatch:
    """Milliseconds between laps, by name."""

    def __init__(self) -> None:
        self.times_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.times_ms[name] = (now - self._last) * 1e3
        self._last = now
