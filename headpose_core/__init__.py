# SPDX-License-Identifier: Apache-2.0
"""Head pose from images: the library behind the ROS 2 package headpose_ros, without ROS.

    pipeline = HeadPosePipeline(YuNet(), HeadPoseModel.load(), Tracker())
    frame = pipeline(image, stamp_s)  # (H, W, 3) uint8 RGB, seconds
    for head in frame.heads:
        print(head.face_id, head.paper_angles_deg, head.std_deg)

``HeadPosePipeline`` is where to begin; ``types`` has what comes out,
``geometry.rotation`` what the angles mean. Importing this package needs NumPy and OpenCV only.
"""

from headpose_core.drawing import draw_heads
from headpose_core.errors import BagError, DeviceError, ImageError, ModelError
from headpose_core.faces.detection import GivenBoxes
from headpose_core.faces.face_detector import FaceDetector
from headpose_core.faces.tracking import Tracker
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_files import read_image
from headpose_core.pipeline import HeadPosePipeline, PipelineSettings
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.types import Camera, Faces, Frame, Head

__version__ = "0.1.0"

__all__ = [
    "BagError",
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
    "PipelineSettings",
    "Tracker",
    "YuNet",
    "draw_heads",
    "read_image",
]
