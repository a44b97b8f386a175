# SPDX-License-Identifier: Apache-2.0
"""RGB array to sensor_msgs/Image; ``headpose_core.images.image_messages`` has the way back."""

from __future__ import annotations

from typing import Any

from headpose_core.messages.frame_messages import image_message
from headpose_core.types import Image
from headpose_ros.messages import make


def message_from_image(image: Image, header: Any) -> Any:
    """A message of encoding rgb8 with a copy of ``image``, (H, W, 3) uint8 RGB."""
    return image_message(make, image, header)
