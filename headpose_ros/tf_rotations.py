# SPDX-License-Identifier: Apache-2.0
"""How the camera is turned in a fixed frame, from /tf and /tf_static, without ever waiting.

Rotations are all that is asked for, at the stamp of an image, by a worker thread that must not
block; so this keeps them itself, one way with and without tf2_ros.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from headpose_core.geometry.quaternions import matrix_from_quaternion
from headpose_ros.qos import overridable

_KEEP_NS = 10 * 10**9
# An image may be ahead of the newest transform by this: then that one holds.
_HOLD_NS = 500 * 10**6
# Further back than transforms come late: time was set back, as by a bag that loops.
_SET_BACK_NS = 10**9
_REPEAT_S = 60.0  # between two warnings

Matrix = NDArray[np.float64]
Quaternion = tuple[float, float, float, float]


class FixedFrame:
    """Listens to TF while it exists. ``orientation`` may be called from any thread.

    name: the frame that does not turn. problem: why the last ``orientation`` was not known, or "".
    Raises RuntimeError for a qos_overrides parameter that is none.
    """

    def __init__(self, node: Node, name: str) -> None:
        self.problem = ""
        self._node, self._name = node, name
        self._rotations = Rotations()
        latched = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions: list[Subscription] = []
        try:
            self._listen("/tf", self._take, QoSProfile(depth=100))
            self._listen("/tf_static", self._take_static, latched)
        except Exception:
            self.destroy()
            raise

    def orientation(self, header: Header) -> Matrix:
        """The axes (3, 3), as columns, of ``header.frame_id`` at its stamp; NaN when not known."""
        stamp_ns = header.stamp.sec * 10**9 + header.stamp.nanosec
        try:
            axes = self._rotations.lookup(self._name, header.frame_id, stamp_ns)
        except LookupError as error:
            self.problem = str(error)
            self._node.get_logger().warning(
                f"{self.problem}: poses are not filtered meanwhile",
                throttle_duration_sec=_REPEAT_S,
            )
            return np.full((3, 3), np.nan)
        self.problem = ""
        return axes

    def destroy(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _listen(self, topic: str, take: Callable[[TFMessage], None], qos: QoSProfile) -> None:
        options = overridable()
        self._subscriptions.append(
            self._node.create_subscription(
                TFMessage, topic, take, qos, qos_overriding_options=options
            )
        )

    def _take(self, message: TFMessage, *, static: bool = False) -> None:
        for child in self._rotations.add(message, static=static):
            self._node.get_logger().warning(
                f"transform of '{child}' ignored: its rotation is not a quaternion",
                throttle_duration_sec=_REPEAT_S,
            )

    def _take_static(self, message: TFMessage) -> None:
        self._take(message, static=True)


@dataclass
class _Edge:
    """The rotations of a frame in its parent over time; of a static one there is one."""

    child: str
    parent: str
    static: bool
    stamps_ns: list[int] = field(default_factory=list)
    rotations: list[Quaternion] = field(default_factory=list)

    def add(self, stamp_ns: int, rotation: Quaternion) -> None:
        newest = self.stamps_ns[-1] if self.stamps_ns else stamp_ns
        if self.static or stamp_ns < newest - _SET_BACK_NS:
            self.stamps_ns, self.rotations = [], []
        at = bisect_left(self.stamps_ns, stamp_ns)
        same = at < len(self.stamps_ns) and self.stamps_ns[at] == stamp_ns
        self.stamps_ns[at : at + same] = [stamp_ns]
        self.rotations[at : at + same] = [rotation]
        old = bisect_left(self.stamps_ns, self.stamps_ns[-1] - _KEEP_NS)
        del self.stamps_ns[:old], self.rotations[:old]

    def at(self, stamp_ns: int) -> Matrix:
        """(3, 3) at a time; at 0 the newest. Raises LookupError when it is not known."""
        stamps = self.stamps_ns
        if self.static or not stamp_ns or stamps[-1] <= stamp_ns <= stamps[-1] + _HOLD_NS:
            return matrix_from_quaternion(self.rotations[-1])
        if not stamps[0] <= stamp_ns <= stamps[-1]:
            age, ns = ("newest", stamps[-1]) if stamp_ns > stamps[-1] else ("oldest", stamps[0])
            raise LookupError(
                f"the {age} transform of '{self.child}' is {abs(stamp_ns - ns) * 1e-9:.2f} s "
                f"{'older' if age == 'newest' else 'newer'} than the image"
            )
        after = bisect_left(stamps, stamp_ns)
        if stamps[after] == stamp_ns:
            return matrix_from_quaternion(self.rotations[after])
        share = (stamp_ns - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
        earlier, later = self.rotations[after - 1], self.rotations[after]
        return matrix_from_quaternion(_slerp(earlier, later, share))


class Rotations:
    """The frames of TF as a tree, of the last ten seconds. Safe from several threads."""

    def __init__(self) -> None:
        self._edges: dict[str, _Edge] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._edges)

    def add(self, message: Any, *, static: bool) -> list[str]:
        """Take a TFMessage. Returns the frames whose rotation cannot be used."""
        refused = []
        with self._lock:
            for transform in message.transforms:
                q = transform.transform.rotation
                child = transform.child_frame_id.lstrip("/")
                if not 0.5 < q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w < 2.0:  # NaN neither
                    refused.append(child)
                    continue
                parent, stamp = transform.header.frame_id.lstrip("/"), transform.header.stamp
                stamp_ns = stamp.sec * 10**9 + stamp.nanosec
                edge = self._edges.get(child)
                if edge is None or (edge.parent, edge.static) != (parent, static):
                    if not static:
                        self._forget_others(stamp_ns)
                    edge = self._edges[child] = _Edge(child, parent, static)
                edge.add(stamp_ns, (q.x, q.y, q.z, q.w))
        return refused

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix:
        """The axes (3, 3) of `source` in `target`. Raises LookupError, which says why not."""
        target, source = target.lstrip("/"), source.lstrip("/")
        with self._lock:
            up, down = self._path(source), self._path(target)
            below = set(down)
            common = next((frame for frame in up if frame in below), None)
            if common is None:
                unknown = [f"'{f}'" for f in (target, source) if f not in self._known()]
                why = f"{' and '.join(unknown)} not in TF" if unknown else "TF does not link them"
                raise LookupError(f"'{source}' is not known in '{target}': {why}")
            source_in_common = self._climb(up[: up.index(common)], stamp_ns)
            target_in_common = self._climb(down[: down.index(common)], stamp_ns)
        return np.asarray(target_in_common.T @ source_in_common)

    def _climb(self, path: list[str], stamp_ns: int) -> Matrix:
        """The axes of the first frame of a path in the parent of the last one."""
        axes = np.eye(3)
        for frame in path:
            axes = self._edges[frame].at(stamp_ns) @ axes
        return axes

    def _path(self, frame: str) -> list[str]:
        """From a frame to its root; a loop ends where it closes."""
        path = {frame: None}  # in the order in which they were put in
        while (edge := self._edges.get(frame)) and edge.parent not in path:
            frame = edge.parent
            path[frame] = None
        return [*path]

    def _known(self) -> set[str]:
        return {*self._edges, *(edge.parent for edge in self._edges.values())}

    def _forget_others(self, now_ns: int) -> None:
        """Frames that come and go, such as faces, would be kept for ever."""
        self._edges = {
            child: edge
            for child, edge in self._edges.items()
            if edge.static or -_SET_BACK_NS <= now_ns - edge.stamps_ns[-1] <= _KEEP_NS
        }


def _slerp(first: Quaternion, second: Quaternion, share: float) -> NDArray[np.float64]:
    """The rotation at this share of the shortest way from the first to the second."""
    a, b = np.array(first), np.array(second)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    cosine = float(a @ b)
    b, cosine = (b, cosine) if cosine >= 0 else (-b, -cosine)
    angle = float(np.arccos(min(cosine, 1.0)))
    if angle < 1e-6:
        return np.asarray(b)
    return np.asarray(np.sin((1 - share) * angle) * a + np.sin(share * angle) * b)
