# SPDX-License-Identifier: Apache-2.0
"""A ROS 2 graph that no other one hears and that hears no other one."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

PROFILE = Path(__file__).resolve().parents[2] / "config" / "fastdds_localhost.xml"


def private_network() -> dict[str, str]:
    """Variables for processes that shall hear each other, on this machine, and nobody else.

    The domain is this process's own: 1 to 100, which leaves no port to the system's own choices.
    """
    return {
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 100),
        "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(PROFILE),  # up to Fast DDS 2
        "FASTDDS_DEFAULT_PROFILES_FILE": str(PROFILE),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }


def end_in_peace(process: subprocess.Popen[Any]) -> None:
    """End a process of the graph if it still runs, and kill it only if it does not end.

    What is killed leaves its place in shared memory to a process that will not get the first
    messages of those who knew the place before.
    """
    process.send_signal(signal.SIGINT)  # to none if it has ended
    try:
        process.wait(10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
