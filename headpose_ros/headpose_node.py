# SPDX-License-Identifier: Apache-2.0
"""The process `headpose_node`: the node in it, its exit status, how it ends."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions

from headpose_ros.node import HeadPoseNode
from headpose_ros.worker import still_running

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# For a clean end after one. `ros2 launch` waits 5 seconds before it becomes rude.
_PATIENCE_S = 2.5


def serve(node: HeadPoseNode, executor: Executor, told_to_end: threading.Event) -> None:
    """Call back until the process is told to end. A callback that fails does not end it."""
    while not told_to_end.is_set():
        try:
            executor.spin_once()
        except Exception:  # noqa: PERF203 (what is called back is the loop)
            node.get_logger().error(traceback.format_exc())


def watch_signals(tell: Callable[[], object], ended: threading.Event) -> None:
    """Have a thread call `tell` at a signal, and end the process if it does not end soon.

    In a thread, since Python's own handlers wait for the end of what runs, such as a runtime that
    builds an engine. rclpy's would end what the node publishes with in the middle of its work, and
    now and then leave the executor waiting.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)  # it goes into the pipe, too

    def watch() -> None:
        os.read(reader, 1)
        tell()
        if not ended.wait(_PATIENCE_S):
            leave(0)

    threading.Thread(target=watch, name="signals", daemon=True).start()


def leave(status: int) -> None:
    """End the process whatever its threads do."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main(args: list[str] | None = None) -> int:
    """Run the node. Exit status: 0 told to end, 1 autostart failed, 2 a parameter was refused."""
    if not any(os.environ.get(name) for name in ("HOME", "ROS_HOME", "ROS_LOG_DIR")):
        os.environ["ROS_LOG_DIR"] = tempfile.gettempdir()  # a service without HOME; ROS would end
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    told_to_end, ended = threading.Event(), threading.Event()
    watch_signals(lambda: executor.create_task(told_to_end.set), ended)
    node, status = None, 0
    try:
        node = HeadPoseNode()
        executor.add_node(node)
        if not node.parameters["autostart"] or node.autostart():
            serve(node, executor, told_to_end)
        else:
            status = 1
    except ParameterException as error:
        get_logger("headpose").fatal(str(error))
        status = 2
    except RuntimeError as error:  # RCLError is one
        if node is not None:
            raise
        # a qos_overrides parameter that is none
        get_logger("headpose").fatal(f"cannot be started: {error}")
        status = 2
    finally:
        # Ctrl-C on `ros2 launch` comes twice, from the terminal and from launch.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        # Else the garbage collector ends it, perhaps after the guard condition that it holds, and
        # rclpy prints a traceback.
        executor.shutdown()
        if node is not None:
            node.destroy_node()
        rclpy.shutdown()
        ended.set()
    if still_running():
        # Python cannot end while a network computes: the thread would be killed inside it.
        leave(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
