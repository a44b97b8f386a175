# SPDX-License-Identifier: Apache-2.0
"""A rendered head in a quiet studio, and the pose that it really has."""

from __future__ import annotations

import numpy as np

from headpose_core.geometry.rotation import matrix_from_angles, orientation_covariance
from headpose_core.pose.bins import STD_FLOOR_DEG
from headpose_core.types import FloatArray, Head
from training.synthesis.engine import Sample
from training.synthesis.lighting import Light, Lighting
from training.synthesis.scene import Scene

STUDIO = Lighting(
    lights=(
        Light((-0.4, 0.5, 0.77), (0.8, 0.77, 0.73)),
        Light((0.7, 0.2, 0.69), (0.2, 0.2, 0.22)),
    ),
    shadow=0.0,
    ground=(0.3, 0.3, 0.3),
    sky=(0.45, 0.45, 0.47),
    up=(0.0, 1.0, 0.0),
)


def portrait(angles_deg: FloatArray) -> Scene:
    """A quiet studio: even light, eyes and torso in line with the head."""
    return Scene(
        angles_deg=(float(angles_deg[0]), float(angles_deg[1]), float(angles_deg[2])),
        distance_m=2.0,
        face_share=0.5,
        offset_share=(0.0, 0.0),
        torso_rad=(0.0, 0.0, 0.0),
        gaze_deg=(0.0, 0.0),
        expression={},
        lighting=STUDIO,
        clutter_seed=1,
    )


def labelled(sample: Sample) -> Head:
    """The head of a rendered frame with its true pose."""
    angles = np.array(sample.scene.angles_deg)
    std = np.full(3, STD_FLOOR_DEG)
    unknown = np.full((3, 3), np.nan)
    return Head(
        box=sample.frame_box.astype(np.float32),
        score=1.0,
        paper_angles_deg=angles,
        std_deg=std,
        extrapolated=False,
        rotation=matrix_from_angles(angles),
        ray_rotation=np.eye(3),
        covariance=orientation_covariance(angles, std),
        position=unknown[0],
        position_covariance=unknown,
        perspective_corrected=False,
    )
