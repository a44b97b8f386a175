# SPDX-License-Identifier: Apache-2.0
"""headpose_core.messages with ROS's own message classes."""

from __future__ import annotations

import math
from functools import cache, partial
from importlib import import_module
from typing import Any

from rclpy.clock import Clock

from headpose_core import messages
from headpose_core.messages import calibration_problem, camera_from_message, seconds

__all__ = [
    "age_ms",
    "calibration_problem",
    "camera_from_message",
    "head_pose_array",
    "make",
    "seconds",
    "transforms",
]


def make(type_name: str, /, **fields: Any) -> Any:
    """A ROS message of a type such as "geometry_msgs/msg/Point" with these fields."""
    return message_class(type_name)(**fields)


@cache
def message_class(type_name: str) -> type:
    """The class of a message type that is installed."""
    package, kind, name = type_name.split("/")
    return getattr(import_module(f"{package}.{kind}"), name)


def age_ms(stamp: Any, clock: Clock) -> float:
    """From a builtin_interfaces/Time until now, in milliseconds; NaN for none, which is zero.

    Counted here because rclpy's Time refuses a stamp before 1970, and a camera may send one.
    """
    if not (stamp.sec or stamp.nanosec):
        return math.nan
    return (clock.now().nanoseconds - stamp.sec * 10**9 - stamp.nanosec) * 1e-6


head_pose_array = partial(messages.head_pose_array, make)
transforms = partial(messages.transforms, make)
