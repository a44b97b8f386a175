# SPDX-License-Identifier: Apache-2.0
"""What a head becomes for displays, in messages without ROS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags")

from headpose_core.bags.type_store import Messages
from headpose_core.geometry.rotation import matrix_from_angles
from headpose_core.messages.heads import orientation
from headpose_core.messages.markers import HeadMarkers
from tests.messages.sample_heads import ANGLES, POSITION, STD, frame, head

MAKE = Messages().make
HEADER = MAKE("std_msgs/msg/Header", frame_id="camera")
Marker = type(MAKE("visualization_msgs/msg/Marker"))


def by_namespace(message: Any) -> dict[str, Any]:
    """The markers that a MarkerArray adds."""
    return {m.ns: m for m in message.markers if m.action == Marker.ADD}


def points(marker: Any) -> np.ndarray:
    return np.array([[p.x, p.y, p.z] for p in marker.points])


def test_axes_start_at_the_sellion_and_point_as_the_head_does() -> None:
    marker = by_namespace(HeadMarkers(MAKE).update(frame(head()), HEADER))["axes"]
    assert (marker.type, marker.header.frame_id) == (Marker.LINE_LIST, "camera")
    ends = points(marker).reshape(3, 2, 3)
    np.testing.assert_allclose(ends[:, 0], [POSITION] * 3)
    directions = ends[:, 1] - ends[:, 0]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(directions.T, orientation(head()), atol=1e-9)
    strongest = [np.argmax([c.r, c.g, c.b]) for c in marker.colors[::2]]
    assert strongest == [0, 1, 2]  # as RViz paints x, y, z


def test_the_cone_holds_two_fifths_of_all_noses() -> None:
    """One sigma in two dimensions: 39 % of heads drawn from the covariance point through it."""
    marker = by_namespace(HeadMarkers(MAKE).update(frame(head()), HEADER))["cone"]
    assert marker.type == Marker.TRIANGLE_LIST
    triangles = points(marker).reshape(-1, 3, 3)
    np.testing.assert_allclose(triangles[:, 0], [POSITION] * len(triangles))
    rays = triangles[:, 1:] - POSITION
    np.testing.assert_allclose(rays[:, 1], np.roll(rays[:, 0], -1, axis=0), atol=1e-9)  # closed

    drawn = np.random.default_rng(0).normal(ANGLES, STD, (20_000, 3))
    noses = (head().ray_rotation @ matrix_from_angles(drawn))[:, :, 2] * -1.0
    # Inside a convex cone a direction lies on the same side of all its faces as the middle.
    faces = np.cross(rays[:, 0], rays[:, 1])
    faces *= np.sign(faces @ orientation(head())[:, 0])[:, None]
    inside = (noses @ faces.T > 0).all(axis=1).mean()
    assert inside == pytest.approx(1 - np.exp(-0.5), abs=0.03)


def test_a_cone_of_great_doubt_is_still_a_cone() -> None:
    doubtful = head(covariance=np.eye(3) * 9.0)
    marker = by_namespace(HeadMarkers(MAKE).update(frame(doubtful), HEADER))["cone"]
    assert np.isfinite(points(marker)).all()
    assert np.abs(points(marker) - POSITION).max() < 1.0


def test_the_id_stands_above_the_head() -> None:
    marker = by_namespace(HeadMarkers(MAKE).update(frame(head("left_f3")), HEADER))["id"]
    assert (marker.type, marker.text) == (Marker.TEXT_VIEW_FACING, "left_f3")
    place = marker.pose.position
    above = np.array([place.x, place.y, place.z]) - POSITION
    assert above @ orientation(head())[:, 2] > 0.1
    assert marker.scale.z > 0


def test_markers_go_with_their_face_and_numbers_are_not_mixed_up() -> None:
    markers = HeadMarkers(MAKE)
    both = markers.update(frame(head("f1"), head("f2")), HEADER).markers
    assert both[0].action == Marker.DELETEALL  # what another node may have left
    numbers = {m.text: m.id for m in both if m.ns == "id"}
    assert len(set(numbers.values())) == 2
    left = markers.update(frame(head("f2"), head("f3")), HEADER).markers
    gone = {(m.ns, m.id) for m in left if m.action == Marker.DELETE}
    assert gone == {(ns, numbers["f1"]) for ns in ("axes", "cone", "id")}
    later = {m.text: m.id for m in left if m.ns == "id" and m.action == Marker.ADD}
    assert later["f2"] == numbers["f2"]
    assert later["f3"] not in numbers.values()
    assert {m.action for m in markers.update(frame(), HEADER).markers} == {Marker.DELETE}
    assert markers.update(frame(), HEADER).markers == []


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        ({"position": np.full(3, np.nan)}, HEADER),
        ({"confirmed": False}, HEADER),
        ({}, MAKE("std_msgs/msg/Header")),
    ],
)
def test_a_head_without_a_place_has_no_markers(fields: dict[str, object], header: Any) -> None:
    assert not by_namespace(HeadMarkers(MAKE).update(frame(head(**fields)), header))
