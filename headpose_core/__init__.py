# SPDX-License-Identifier: Apache-2.0
"""Head pose from images: the library behind the ROS 2 package headpose_ros, without ROS.

``HeadPosePipeline`` is where to begin. Importing this package needs NumPy and OpenCV only.
"""

from headpose_core.detection import FaceDetector, GivenBoxes, YuNet
from headpose_core.errors import DeviceError, ImageError, ModelError
from headpose_core.pipeline import HeadPosePipeline, PipelineConfig
from headpose_core.runtime import HeadPoseModel
from headpose_core.tracking import Tracker
from headpose_core.types import Camera, Faces, Frame, Head

__version__ = "0.1.0"

__all__ = [
    "Camera",
    "DeviceError",
    "FaceDetector",
    "Faces",
    "Frame",
    "GivenBoxes",
    "Head",
    "HeadPoseModel",
    "HeadPosePipeline",
    "ImageError",
    "ModelError",
    "PipelineConfig",
    "Tracker",
    "YuNet",
]
