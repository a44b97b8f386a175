# SPDX-License-Identifier: Apache-2.0
"""Images in ROS's own messages."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from sensor_msgs.msg import Image
from std_msgs.msg import Header

from headpose_core.images.image_messages import ENCODINGS, image_from_message
from headpose_ros.images import message_from_image
from tests.images.encoded_pictures import PICTURE, encode, make_message


def ros_message(encoding: str) -> Image:
    return Image(**vars(make_message(encode(encoding), encoding)))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_message_of_ros_is_read_as_its_fields_are(encoding: str) -> None:
    message = ros_message(encoding)
    fields = make_message(encode(encoding), encoding)
    np.testing.assert_array_equal(image_from_message(message), image_from_message(fields))


def test_rgb_of_a_message_of_ros_is_not_copied() -> None:
    message = ros_message("rgb8")
    assert np.shares_memory(image_from_message(message), np.frombuffer(message.data, np.uint8))


def test_round_trip() -> None:
    header = Header(frame_id="camera")
    message = message_from_image(PICTURE, header)
    assert (message.header, message.encoding, message.step) == (header, "rgb8", 48)
    np.testing.assert_array_equal(image_from_message(message), PICTURE)


def test_message_of_a_view_is_contiguous() -> None:
    message = message_from_image(PICTURE[::2, ::-1], Header())
    np.testing.assert_array_equal(image_from_message(message), PICTURE[::2, ::-1])


@pytest.mark.parametrize("encoding", ["bgr8", "rgba8", "mono8", "mono16", "bayer_rggb8", "yuv422"])
def test_agrees_with_cv_bridge(encoding: str) -> None:
    cv_bridge = pytest.importorskip("cv_bridge", reason="needs the ROS package cv_bridge")
    message = ros_message(encoding)
    theirs = cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")
    assert cv2.absdiff(image_from_message(message), theirs).max() <= 1
