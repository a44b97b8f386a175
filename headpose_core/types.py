# SPDX-License-Identifier: Apache-2.0
"""What the stages of the pipeline hand to each other.

Pixels are (x, y); boxes are (x1, y1, x2, y2) with x2 and y2 behind the last pixel, so that the
whole image is the box (0, 0, width, height).
The optical frame is ROS's: x right, y down, z forward. Angles are degrees only where a name ends
in ``_deg``. ``rotation.py`` defines the conventions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Faces:
    """Faces found in one image, best score first.

    boxes: (N, 4) float32, pixels; a face cut by the border has a box that leaves the image.
    scores: (N,) float32, 0 to 1.
    keypoints: (N, 5, 2) float32 pixels or None: the eyes (image left, image right), the nose tip,
        the corners of the mouth (image left, image right).
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> Faces:
        """The faces of a mask, or of indices in their order."""
        keypoints = None if self.keypoints is None else self.keypoints[keep]
        return Faces(self.boxes[keep], self.scores[keep], keypoints)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with lens distortion, as sensor_msgs/CameraInfo describes it.

    width, height: pixels of the images that K belongs to.
    K: (3, 3) float64 intrinsic matrix, pixels. K[0, 0] == 0 means uncalibrated.
    D: (n,) float64 distortion coefficients in OpenCV's order.
    distortion_model: "" (none), "plumb_bob", "rational_polynomial" or "equidistant".
    """

    width: int
    height: int
    K: FloatArray
    D: FloatArray = field(default_factory=lambda: np.zeros(0))
    distortion_model: str = ""


@dataclass(frozen=True)
class Head:
    """The pose of one head.

    box: (4,) float32 face box in pixels, not clipped to the image.
    score: the detector's, 0 to 1.
    paper_angles_deg: (3,) float64 yaw, pitch, roll as EHPNet prints them: unfiltered, about the
        viewing ray of the face.
    std_deg: (3,) float64 calibrated one-sigma of those angles.
    extrapolated: over 20 % of an angle's probability lies in its three outer bins.
    rotation: (3, 3) float64 R, head to optical axes about the viewing ray; filtered where there
        are tracks, unless the filter is off.
    ray_rotation: (3, 3) float64, turns the optical axis onto the viewing ray; the identity when
        not ``perspective_corrected``.
    covariance: (3, 3) float64 rad^2 of the orientation, in the fixed axes of the optical frame;
        what a filtered orientation lags behind is part of it.
    position: (3,) float64 metres, the sellion in the optical frame; NaN when uncalibrated.
    position_covariance: (3, 3) float64 m^2; NaN when uncalibrated.
    perspective_corrected: the ray of the face was known and ``ray_rotation`` holds it.
    face_id: constant along a track, never reused; "" without a tracker.
    track_age: images since the track began, 1 at its first one; 0 without a tracker.
    confirmed: the track has had enough detections to be trusted.
    """

    box: NDArray[np.float32]
    score: float
    paper_angles_deg: FloatArray
    std_deg: FloatArray
    extrapolated: bool
    rotation: FloatArray
    ray_rotation: FloatArray
    covariance: FloatArray
    position: FloatArray
    position_covariance: FloatArray
    perspective_corrected: bool
    face_id: str = ""
    track_age: int = 0
    confirmed: bool = False


@dataclass(frozen=True)
class Frame:
    """All heads of one image.

    stamp_s: the image's own time in seconds.
    heads: the most prominent first, see ``faces.prominence``.
    timings_ms: what each stage of the pipeline took, in their order.
    """

    stamp_s: float
    heads: tuple[Head, ...]
    timings_ms: dict[str, float]
