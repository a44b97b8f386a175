# SPDX-License-Identifier: Apache-2.0
"""A picture of what the markers show: the image, and the heads in space as viewers draw them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

from headpose_core.drawing import draw_heads
from headpose_core.faces.detection import GivenBoxes
from headpose_core.faces.tracking import Tracker
from headpose_core.messages.markers import HeadMarkers
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.types import Camera, FloatArray, Image

_HEADER = SimpleNamespace(frame_id="camera")


def draw_markers(path: Path, image: Image, boxes: FloatArray) -> None:
    """Write the picture.

    image: (H, W, 3) uint8 RGB of a camera with 50 degrees of view; boxes (N, 4) of its faces.
    """
    height, width = image.shape[:2]
    focal = width / 2 / np.tan(np.radians(25.0))
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    pipeline = HeadPosePipeline(GivenBoxes(boxes), HeadPoseModel.load(), Tracker(min_hits=1))
    frame = pipeline(image, 0.0, Camera(width, height, K))
    array = HeadMarkers(_make).update(frame, _HEADER)
    figure = plt.figure(figsize=(11.0, 3.6), dpi=110)
    flat = figure.add_axes((0.01, 0.0, 0.57, 1.0))
    flat.imshow(draw_heads(image, frame.heads))
    flat.axis("off")
    space = figure.add_axes((0.58, 0.0, 0.40, 1.0), projection="3d")
    for marker in array.markers[1:]:  # the first one clears the display
        _draw(space, marker)
    _draw_camera(space, [head.position for head in frame.heads])
    figure.savefig(path)
    plt.close(figure)


def _make(type_name: str, /, **fields: Any) -> SimpleNamespace:
    zero = {"x": 0.0, "y": 0.0, "z": 0.0} if "geometry_msgs" in type_name else {}
    return SimpleNamespace(**(zero | fields))


def _draw(space: Any, marker: SimpleNamespace) -> None:
    if marker.ns == "id":
        space.text(*_plotted(marker.pose.position), marker.text, ha="center", fontsize=11)
        return
    points = np.array([_plotted(point) for point in marker.points])
    if marker.ns == "axes":
        colours = [(colour.r, colour.g, colour.b) for colour in marker.colors[::2]]
        lines = Line3DCollection(points.reshape(-1, 2, 3), colors=colours, linewidths=3)
        space.add_collection3d(lines)
    else:
        colour = (marker.color.r, marker.color.g, marker.color.b)
        space.add_collection3d(Poly3DCollection(points.reshape(-1, 3, 3), fc=colour, alpha=0.12))


def _draw_camera(space: Any, places: list[FloatArray]) -> None:
    """The optical frame and the rays to the heads; x, z and -y of it are the axes of the plot."""
    for axis, colour in zip(np.eye(3) * 0.2, ("r", "g", "b"), strict=True):
        end = _plotted(SimpleNamespace(x=axis[0], y=axis[1], z=axis[2]))
        space.plot(*zip((0, 0, 0), end, strict=True), color=colour, lw=2)
    for x, y, z in places:
        space.plot((0, x), (0, z), (0, -y), color="0.6", lw=0.8, ls="--")
    deepest = max(place[2] for place in places)
    space.set(xlim=(-0.4, 0.4), ylim=(0, 1.1 * deepest), zlim=(-0.2, 0.3))
    space.set(xlabel="x [m]", ylabel="z [m]", zlabel="-y [m]")
    space.locator_params(nbins=4)
    space.set_box_aspect((0.8, 1.1 * deepest, 0.5), zoom=0.86)
    space.view_init(elev=22, azim=-50)


def _plotted(point: SimpleNamespace) -> tuple[float, float, float]:
    """x, z and -y of the optical frame, so that up is up."""
    return point.x, point.z, -point.y
