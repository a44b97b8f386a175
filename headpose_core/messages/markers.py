# SPDX-License-Identifier: Apache-2.0
"""Heads for RViz and Foxglove: axes, cone of uncertainty and id, in the optical frame.

Like ``messages``, this gets a factory for the messages: the node and ``headpose bag`` share it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from headpose_core.messages.heads import MessageFactory, orientation
from headpose_core.types import Frame, Head

# Of visualization_msgs/Marker.
_ADD, _DELETE, _DELETEALL = 0, 2, 3
_LINE_LIST, _TEXT_VIEW_FACING, _TRIANGLE_LIST = 5, 9, 11

_RED, _GREEN, _BLUE = (0.92, 0.2, 0.18), (0.22, 0.78, 0.27), (0.24, 0.47, 1.0)
_AXIS_M, _AXIS_WIDTH_M = 0.12, 0.008
_CONE_M, _CONE_SIDES, _CONE_WIDEST = 0.3, 24, np.radians(60.0)
_TEXT_M, _TEXT_ABOVE_M = 0.05, 0.2
# After which displays take a head away by themselves: a node that was killed cannot.
_LIFETIME_S = 3


class HeadMarkers:
    """Knows which heads stand in the displays, and takes away the ones that are gone.

    make: builds the messages.
    """

    def __init__(self, make: MessageFactory) -> None:
        self._make = make
        self._numbers: dict[str, int] = {}  # of the markers of each face that is shown
        self._next = 0
        self._begun = False

    def update(self, frame: Frame, header: Any) -> Any:
        """What changes the displays from the last image to this one.

        Shown are the heads that are confirmed and whose place is known. The first message ever
        takes away what another node may have left.
        """
        heads = {
            head.face_id: head
            for head in frame.heads
            if head.confirmed and np.isfinite(head.position).all() and header.frame_id
        }
        markers = [] if self._begun else [self._marker(header, action=_DELETEALL)]
        self._begun = True
        for face_id in [name for name in self._numbers if name not in heads]:
            number = self._numbers.pop(face_id)
            markers += [
                self._marker(header, ns=ns, id=number, action=_DELETE)
                for ns in ("axes", "cone", "id")
            ]
        for face_id, head in heads.items():
            if face_id not in self._numbers:
                self._numbers[face_id], self._next = self._next, self._next + 1
            markers += [
                self._marker(header, ns=ns, id=self._numbers[face_id], action=_ADD, **fields)
                for ns, fields in self._shapes(head)
            ]
        return self._make("visualization_msgs/msg/MarkerArray", markers=markers)

    def clear(self, header: Any) -> Any:
        """Nothing is left."""
        self._numbers.clear()
        markers = [self._marker(header, action=_DELETEALL)]
        return self._make("visualization_msgs/msg/MarkerArray", markers=markers)

    def _marker(self, header: Any, **fields: Any) -> Any:
        return self._make("visualization_msgs/msg/Marker", header=header, **fields)

    def _shapes(self, head: Head) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Namespace and fields of each marker of a head."""
        make = self._make
        shapes = {"axes": _axes(make, head), "cone": _cone(make, head), "id": _id(make, head)}
        lifetime = make("builtin_interfaces/msg/Duration", sec=_LIFETIME_S)
        return tuple((ns, {**fields, "lifetime": lifetime}) for ns, fields in shapes.items())


def _axes(make: MessageFactory, head: Head) -> dict[str, Any]:
    tips = head.position + _AXIS_M * orientation(head).T
    ends = [point for tip in tips for point in (head.position, tip)]
    return {
        "type": _LINE_LIST,
        "points": _points(make, ends),
        "colors": [_colour(make, rgb) for rgb in (_RED, _GREEN, _BLUE) for _ in range(2)],
        "scale": make("geometry_msgs/msg/Vector3", x=_AXIS_WIDTH_M),
        "pose": _pose(make),
    }


def _cone(make: MessageFactory, head: Head) -> dict[str, Any]:
    """Where the nose points with one sigma: an elliptic cone about the x axis of the head."""
    nose = orientation(head)[:, 0]
    across = np.linalg.svd(nose[None])[2][1:]  # two unit vectors beside the nose
    # A small turn w moves the nose by w x nose; along `across` that is -w . (across x nose).
    moves = np.cross(across, nose)
    values, vectors = np.linalg.eigh(moves @ head.covariance @ moves.T)
    reach = np.tan(np.minimum(np.sqrt(np.maximum(values, 0.0)), _CONE_WIDEST))
    turn = np.linspace(0.0, 2.0 * np.pi, _CONE_SIDES + 1)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1) * reach @ (vectors.T @ across)
    rim = head.position + _CONE_M * (nose + ring)
    corners = [point for side in pairwise(rim) for point in (head.position, *side)]
    return {
        "type": _TRIANGLE_LIST,
        "points": _points(make, corners),
        "color": _colour(make, _RED, 0.35),
        "scale": make("geometry_msgs/msg/Vector3", x=1.0, y=1.0, z=1.0),
        "pose": _pose(make),
    }


def _id(make: MessageFactory, head: Head) -> dict[str, Any]:
    above = head.position + _TEXT_ABOVE_M * orientation(head)[:, 2]
    return {
        "type": _TEXT_VIEW_FACING,
        "text": head.face_id,
        "pose": _pose(make, above),
        "color": _colour(make, (1.0, 1.0, 1.0)),
        "scale": make("geometry_msgs/msg/Vector3", z=_TEXT_M),
    }


def _pose(make: MessageFactory, place: ArrayLike = (0.0, 0.0, 0.0)) -> Any:
    """In the optical frame, not turned."""
    (point,) = _points(make, np.reshape(place, (1, 3)))
    upright = make("geometry_msgs/msg/Quaternion", w=1.0)
    return make("geometry_msgs/msg/Pose", position=point, orientation=upright)


def _points(make: MessageFactory, places: ArrayLike) -> list[Any]:
    found = np.asarray(places, np.float64).tolist()
    return [make("geometry_msgs/msg/Point", x=x, y=y, z=z) for x, y, z in found]


def _colour(make: MessageFactory, rgb: tuple[float, float, float], alpha: float = 1.0) -> Any:
    return make("std_msgs/msg/ColorRGBA", r=rgb[0], g=rgb[1], b=rgb[2], a=alpha)
