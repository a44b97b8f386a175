# SPDX-License-Identifier: Apache-2.0
"""From an image to the heads in it: read ``HeadPosePipeline.__call__`` first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from headpose_core import rotation
from headpose_core.camera import is_calibrated, ray_rotation, sellion_position, viewing_ray
from headpose_core.image import check_image
from headpose_core.tracking import Track
from headpose_core.types import Camera, FloatArray, Frame, Head, Image

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
    """

    max_faces: int = 8
    perspective_correction: bool = True
    face_height_m: float = 0.19

    def __post_init__(self) -> None:
        if self.max_faces < 1:
            raise ValueError(f"max_faces: expected 1 or more, got {self.max_faces}")
        if not 0.05 <= self.face_height_m <= 1.0:
            raise ValueError(f"face_height_m: expected 0.05 to 1 metres, got {self.face_height_m}")


class _Placement(TypedDict):
    """The fields of a Head that depend on the camera."""

    ray_rotation: FloatArray
    covariance: FloatArray
    position: FloatArray
    position_covariance: FloatArray
    perspective_corrected: bool


# What the tracker would say if there were one.
_NO_TRACK = [Track(face_id="", age=0, confirmed=False)]


class HeadPosePipeline:
    """Detector, pose network and tracker in a row.

    The node, the command line, the evaluation and the benchmarks all call this object. Without a
    tracker the heads have no ids. ``config`` may be replaced between two images; everything runs
    in the caller's thread, and one pipeline serves one image stream.
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

    def __call__(self, image: Image, stamp_s: float, camera: Camera | None = None) -> Frame:
        """The heads in one image.

        image: (H, W, 3) uint8 RGB. stamp_s: its time in seconds. camera: of this image, if known.
        Raises ImageError for an array that is no such image.
        """
        check_image(image)
        stages = _Stopwatch()

        faces = self.detector.detect(image).largest(self.config.max_faces)
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

        heads = tuple(
            Head(
                box=faces.boxes[i],
                score=float(faces.scores[i]),
                paper_angles_deg=estimate.mean_deg[i],
                std_deg=estimate.std_deg[i],
                extrapolated=bool(estimate.extrapolated[i]),
                rotation=rotations[i],
                face_id=track.face_id,
                track_age=track.age,
                confirmed=track.confirmed,
                **self._place(faces.boxes[i], rotations[i], covariances[i], camera),
            )
            for i, track in enumerate(tracks)
        )
        stages.lap("place")
        return Frame(stamp_s, heads, stages.times_ms)

    def _place(
        self,
        box: NDArray[np.float32],
        R: FloatArray,
        covariance: FloatArray,
        camera: Camera | None,
    ) -> _Placement:
        """What depends on the camera: position, and the pose about the ray or in its frame."""
        if not is_calibrated(camera):
            unknown = np.full((3, 3), np.nan)
            return _Placement(
                ray_rotation=np.eye(3),
                covariance=covariance,
                position=unknown[0],
                position_covariance=unknown,
                perspective_corrected=False,
            )
        position, position_covariance = sellion_position(camera, box, R, self.config.face_height_m)
        corrected = self.config.perspective_correction
        R_ray = (
            ray_rotation(viewing_ray(camera, (box[:2] + box[2:]) / 2)) if corrected else np.eye(3)
        )
        return _Placement(
            ray_rotation=R_ray,
            covariance=R_ray @ covariance @ R_ray.T,
            position=position,
            position_covariance=position_covariance,
            perspective_corrected=corrected,
        )


class _Stopwatch:
    """Milliseconds between laps, by name."""

    def __init__(self) -> None:
        self.times_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.times_ms[name] = (now - self._last) * 1e3
        self._last = now
