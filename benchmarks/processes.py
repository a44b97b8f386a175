# SPDX-License-Identifier: Apache-2.0
"""The node as a process of its own, and what the system says about a process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.demo.network import end_in_peace

REPOSITORY = Path(__file__).resolve().parents[1]


@contextmanager
def headpose_node(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the node with these arguments of ROS (`-p`, `-r`); it is ended with the block."""
    command = [sys.executable, "-m", "headpose_ros.headpose_node", "--ros-args", *arguments]
    node = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL)
    try:
        yield node
    finally:
        end_in_peace(node)


@dataclass(frozen=True)
class Usage:
    """What a process holds: memory in 1e6 bytes (resident set), threads, open files."""

    memory_mb: float
    threads: int
    open_files: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Of a process, now."""
        text = Path(f"/proc/{pid}/status").read_text()
        values = dict(re.findall(r"(\w+):\s+(\d+)", text))
        files = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 (Path would look at each)
        return cls(int(values["VmRSS"]) * 1024 / 1e6, int(values["Threads"]), len(files))


def processor_s(pid: int) -> float:
    """Processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
