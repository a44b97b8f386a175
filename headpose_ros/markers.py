# SPDX-License-Identifier: Apache-2.0
"""Heads for RViz and Foxglove: axes, cone of uncertainty and id, in the optical frame."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from headpose_core.messages import orientation
from headpose_core.types import Frame, Head

_RED, _GREEN, _BLUE = (0.92, 0.2, 0.18), (0.22, 0.78, 0.27), (0.24, 0.47, 1.0)
_AXIS_M, _AXIS_WIDTH_M = 0.12, 0.008
_CONE_M, _CONE_SIDES, _CONE_WIDEST = 0.3, 24, np.radians(60.0)
_TEXT_M, _TEXT_ABOVE_M = 0.05, 0.2


class HeadMarkers:
    """Knows which heads stand in the displays, and takes away the ones that are gone."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}  # of the markers of each face that is shown
        self._next = 0
        self._begun = False

    def update(self, frame: Frame, header: Header) -> MarkerArray:
        """What changes the displays from the last image to this one.

        Shown are the heads that are confirmed and whose place is known. The first message ever
        takes away what another node may have left.
        """
        heads = {
            head.face_id: head
            for head in frame.heads
            if head.confirmed and np.isfinite(head.position).all() and header.frame_id
        }
        markers = [] if self._begun else [Marker(header=header, action=Marker.DELETEALL)]
        self._begun = True
        for face_id in [name for name in self._numbers if name not in heads]:
            number = self._numbers.pop(face_id)
            markers += [
                Marker(header=header, ns=ns, id=number, action=Marker.DELETE)
                for ns in ("axes", "cone", "id")
            ]
        for face_id, head in heads.items():
            if face_id not in self._numbers:
                self._numbers[face_id], self._next = self._next, self._next + 1
            markers += [
                _marker(header, ns, self._numbers[face_id], **fields)
                for ns, fields in (("axes", _axes(head)), ("cone", _cone(head)), ("id", _id(head)))
            ]
        return MarkerArray(markers=markers)

    def clear(self, header: Header) -> MarkerArray:
        """Nothing is left."""
        self._numbers.clear()
        return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])


def _marker(header: Header, ns: str, number: int, **fields: object) -> Marker:
    """The points of the fields are in the optical frame, unless they bring a pose."""
    fields.setdefault("pose", Pose(orientation=Quaternion(w=1.0)))
    return Marker(header=header, ns=ns, id=number, action=Marker.ADD, **fields)


def _axes(head: Head) -> dict[str, object]:
    tips = head.position + _AXIS_M * orientation(head).T
    ends = [point for tip in tips for point in (head.position, tip)]
    colours = [_colour(rgb) for rgb in (_RED, _GREEN, _BLUE) for _ in range(2)]
    scale = Vector3(x=_AXIS_WIDTH_M)
    return {"type": Marker.LINE_LIST, "points": _points(ends), "colors": colours, "scale": scale}


def _cone(head: Head) -> dict[str, object]:
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
        "type": Marker.TRIANGLE_LIST,
        "points": _points(corners),
        "color": _colour(_RED, 0.35),
        "scale": Vector3(x=1.0, y=1.0, z=1.0),
    }


def _id(head: Head) -> dict[str, object]:
    above = head.position + _TEXT_ABOVE_M * orientation(head)[:, 2]
    return {
        "type": Marker.TEXT_VIEW_FACING,
        "text": head.face_id,
        "pose": Pose(position=_points([above])[0], orientation=Quaternion(w=1.0)),
        "color": _colour((1.0, 1.0, 1.0)),
        "scale": Vector3(z=_TEXT_M),
    }


def _points(places: list[NDArray[np.float64]]) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in np.asarray(places).tolist()]


def _colour(rgb: tuple[float, float, float], alpha: float = 1.0) -> ColorRGBA:
    return ColorRGBA(r=rgb[0], g=rgb[1], b=rgb[2], a=alpha)
