# SPDX-License-Identifier: Apache-2.0
"""Which camera_info of a bag is used, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: pip install 'headpose-ehpnet[bags]'")

from headpose_core.bags.type_store import Messages
from headpose_core.bags.writer import write_bag
from headpose_core.commands.cli import main
from tests.bag_files import START_NS, header, pictures

SENTENCE = "camera_info is of the frame 'depth_optical', images are of 'color_optical'"


def write_drive(path: Path, image: np.ndarray, infos: dict[str, tuple[str, float]]) -> Path:
    """A bag with one image of the frame color_optical; infos: topic to frame and focal length."""
    messages = Messages()
    height, width = image.shape[:2]
    top = header(messages, 0, "color_optical")
    sent: dict[str, Any] = {
        topic: messages.make(
            "sensor_msgs/msg/CameraInfo",
            header=header(messages, 0, frame),
            width=width,
            height=height,
            k=[focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0],
            d=[0.0] * 8,
            distortion_model="plumb_bob",
        )
        for topic, (frame, focal) in infos.items()
    }
    sent["/camera/color/image_raw"] = messages.make(
        "sensor_msgs/msg/Image",
        header=top,
        height=height,
        width=width,
        encoding="rgb8",
        step=3 * width,
        data=image.ravel(),
    )
    with write_bag(path, messages) as writer:
        for topic, message in sent.items():
            writer.announce(topic, message.__msgtype__)
            writer.write(topic, message, START_NS)
    return path


@pytest.fixture
def run(car_video: Path, tiny_model_file: Path, tmp_path: Path, capsys: Any) -> Any:
    """`headpose bag` on a drive with these calibrations: distance in metres, what was said."""
    (image,) = pictures(car_video, 1)

    def run(infos: dict[str, tuple[str, float]], *arguments: str) -> tuple[float | None, str]:
        bag = write_drive(tmp_path / "drive.mcap", image, infos)
        jsonl = tmp_path / "poses.jsonl"
        more = ["--model", str(tiny_model_file), "--quiet", *arguments]
        assert main(["bag", str(bag), "--jsonl", str(jsonl), *more]) == 0
        (head,) = json.loads(jsonl.read_text().splitlines()[0])["heads"]
        return head.get("position_m", [None])[-1], capsys.readouterr().err

    return run


def test_the_only_camera_info_is_not_used_for_another_camera(run: Any) -> None:
    for topic in ("/camera/depth/camera_info", "/camera_info"):
        distance, told = run({topic: ("depth_optical", 75.0)})
        assert distance is None
        assert f"{topic}: {SENTENCE}: angles only, no position, no TF" in told


def test_the_camera_info_in_use_is_named(run: Any) -> None:
    own = {"/camera/color/camera_info": ("color_optical", 150.0)}
    distance, told = run({"/camera/depth/camera_info": ("depth_optical", 75.0), **own})
    assert 0.2 < distance < 0.6
    assert "calibration from /camera/color/camera_info (frame 'color_optical')" in told
    assert "warning" not in told
    elsewhere, told = run({"/calibration": ("color_optical", 150.0)})
    assert elsewhere == pytest.approx(distance)
    assert "calibration from /calibration (frame 'color_optical')" in told
    nameless, told = run({"/camera_info": ("", 150.0)})
    assert nameless == pytest.approx(distance)
    assert "calibration from /camera_info (no frame_id)" in told


def test_a_topic_that_is_asked_for_is_used_whatever_its_frame(run: Any) -> None:
    topic = "/camera/depth/camera_info"
    distance, told = run({topic: ("depth_optical", 75.0)}, "--camera-info", topic)
    assert 0.1 < distance < 0.3
    assert f"calibration from {topic} (frame 'depth_optical')" in told


def test_a_calibration_that_cannot_be_true_says_why(run: Any) -> None:
    for focal, number in ((0.9, "0.9 and 0.9"), (1e7, "1e+07 and 1e+07")):
        distance, told = run({"/camera/color/camera_info": ("color_optical", focal)})
        assert distance is None
        assert f"cannot be used: the focal lengths {number} give" in told
