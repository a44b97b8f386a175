# SPDX-License-Identifier: Apache-2.0
"""ROS's own message classes, for ``headpose_core.messages``."""

from __future__ import annotations

import math
from array import array
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from rclpy.clock import Clock


def make(type_name: str, /, **fields: Any) -> Any:
    """A ROS message of a type such as "geometry_msgs/msg/Point" with these fields."""
    return message_class(type_name)(**{name: _value(field) for name, field in fields.items()})


@cache
def message_class(type_name: str) -> Any:
    """The class of a message type that is installed."""
    package, kind, name = type_name.split("/")
    return getattr(import_module(f"{package}.{kind}"), name)


def age_ms(stamp: Any, clock: Clock) -> float:
    """From a builtin_interfaces/Time until now, in milliseconds; NaN for none, which is zero.

    Counted here because rclpy's Time refuses a stamp before 1970, and a camera may send one.
    """
    if not (stamp.sec or stamp.nanosec):
        return math.nan
    return float((clock.now().nanoseconds - stamp.sec * 10**9 - stamp.nanosec) * 1e-6)


def _value(field: Any) -> Any:
    """Pixels as ``array``, which rclpy takes 900 times faster than anything else."""
    if not isinstance(field, np.ndarray) or field.dtype != np.uint8:
        return field
    data = array("B")
    data.frombytes(np.ascontiguousarray(field).data)
    return data
