# SPDX-License-Identifier: Apache-2.0
"""The process `headpose_node`: the node in it, its exit status, how it ends."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import traceback

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger

from headpose_ros.node import HeadPoseNode
from headpose_ros.worker import still_running

_POLL_S = 0.5  # between two looks whether the process was told to end
# For a clean end after that. `ros2 launch` waits 5 seconds before it becomes rude.
_PATIENCE_S = 2.5


def serve(node: HeadPoseNode) -> None:
    """Call back until the process is told to end. A callback that fails does not end it.

    A signal that comes just before rclpy waits does not wake it: the next diagnostics do.
    """
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while rclpy.ok():
        try:
            executor.spin()
        except Exception:  # noqa: PERF203 (spin itself is the loop)
            if rclpy.ok():  # else it was told to end, perhaps in the middle of something
                node.get_logger().error(traceback.format_exc())
    # Else the garbage collector ends it, perhaps after the guard condition that it holds: rclpy
    # prints a traceback then.
    executor.shutdown()


def end_in_time(ended: threading.Event) -> None:
    """Once the process is told to end, see to it that it does, unless it has ended by itself.

    Python cannot interrupt a runtime that loads a network or builds an engine for it.
    """
    while rclpy.ok():
        if ended.wait(_POLL_S):
            return
    if not ended.wait(_PATIENCE_S):
        leave(0)


def leave(status: int) -> None:
    """End the process whatever its threads do."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main(args: list[str] | None = None) -> int:
    """Run the node. Exit status: 0 told to end, 1 autostart failed, 2 a parameter was refused."""
    if not any(os.environ.get(name) for name in ("HOME", "ROS_HOME", "ROS_LOG_DIR")):
        os.environ["ROS_LOG_DIR"] = tempfile.gettempdir()  # a service without HOME; ROS would end
    # Like SIGTERM: rclpy ends the executor. No KeyboardInterrupt wherever Python happens to be.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    rclpy.init(args=args)
    ended = threading.Event()
    threading.Thread(target=end_in_time, args=(ended,), name="end-in-time", daemon=True).start()
    node, status = None, 0
    try:
        node = HeadPoseNode()
        if node.parameters["autostart"] and not node.autostart():
            status = 1 if node.context.ok() else 0
        else:
            serve(node)
    except ParameterException as error:
        get_logger("headpose").fatal(str(error))
        status = 2
    except RuntimeError as error:  # RCLError is one
        if node is None and rclpy.ok():  # a qos_overrides parameter that is none
            get_logger("headpose").fatal(f"cannot be started: {error}")
            status = 2
        elif rclpy.ok():
            raise  # else something was shut down in the middle of it
    finally:
        # Ctrl-C on `ros2 launch` comes twice, from the terminal and from launch.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if node is not None:
            node.destroy_node()
        rclpy.get_default_context().try_shutdown()  # a signal may have done it already
        ended.set()
    if still_running():
        # Python cannot end while a network computes: the thread would be killed inside it.
        leave(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
