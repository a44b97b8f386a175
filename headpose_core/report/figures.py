# SPDX-License-Identifier: Apache-2.0
"""The plots of a report, as plotly figures. All text in them that comes from files is escaped."""

from __future__ import annotations

from html import escape

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.colors import qualitative
from plotly.subplots import make_subplots

from headpose_core.report.recording import FaceTrack, Recording
from headpose_core.report.statistics import Cone, durations_s
from headpose_core.types import FloatArray

MOST_POINTS = 4000  # of a face; browsers become slow
_ROWS = ("yaw [deg]", "pitch [deg]", "roll [deg]", "off centre [deg]")
_BIN_DEG = 5.0
_LAYOUT = {"template": "plotly_white", "margin": {"l": 60, "r": 20, "t": 20, "b": 50}}


def stride(recording: Recording) -> int:
    """Every so many-th point is drawn."""
    longest = max((len(face.image) for face in recording.faces), default=0)
    return -(-longest // MOST_POINTS) or 1


def timeline(recording: Recording, cone: Cone) -> go.Figure:
    """Yaw, pitch and roll of each face with one sigma, and how far it points off the cone."""
    figure = make_subplots(rows=4, cols=1, shared_xaxes=True, vertical_spacing=0.03)
    step = stride(recording)
    for number, face in enumerate(recording.faces):
        colour = qualitative.D3[number % len(qualitative.D3)]
        pieces = _pieces(face, step)
        time = recording.stamps_s - recording.stamps_s[0]
        off = face.off_centre_deg(cone.yaw_deg, cone.pitch_deg)
        for row in range(4):
            values = face.angles_deg[:, row] if row < 3 else off
            common = {
                "legendgroup": face.face_id,
                "name": escape(face.face_id),
                "mode": "lines",
                "line": {"color": colour, "width": 1.5},
            }
            x, y = _joined([(time[face.image[p]], values[p]) for p in pieces])
            line = go.Scatter(x=x, y=y, showlegend=row == 0, **common)
            if row < 3:
                std = face.std_deg[:, row]
                bands = [_band(time[face.image[p]], values[p], std[p]) for p in pieces]
                x, y = _joined(bands)
                common |= {"line": {"width": 0}, "fill": "toself", "fillcolor": colour}
                band = go.Scatter(
                    x=x, y=y, opacity=0.25, showlegend=False, hoverinfo="skip", **common
                )
                figure.add_trace(band, row=row + 1, col=1)
            figure.add_trace(line, row=row + 1, col=1)
    for row, name in enumerate(_ROWS, 1):
        figure.update_yaxes(title_text=name, row=row, col=1)
    figure.add_hline(cone.half_angle_deg, line_dash="dash", line_width=1, row=4, col=1)
    figure.update_xaxes(title_text="time [s]", row=4, col=1)
    return figure.update_layout(height=760, hovermode="x unified", **_LAYOUT)


def heat_map(recording: Recording, cone: Cone) -> go.Figure:
    """Seconds that heads pointed in each direction; left in the plot is left in the image."""
    edges = np.arange(-90.0, 90.0 + _BIN_DEG, _BIN_DEG)
    total = np.zeros((len(edges) - 1, len(edges) - 1))
    lasts = durations_s(recording)
    for face in recording.faces:
        yaw, pitch = np.clip(face.angles_deg[:, :2].T, -89.9, 89.9)
        total += np.histogram2d(pitch, yaw, (edges, edges), weights=lasts[face.image])[0]
    centres = (edges[:-1] + edges[1:]) / 2
    figure = go.Figure(
        go.Heatmap(
            x=centres,
            y=centres,
            z=np.where(total > 0, total, np.nan),
            colorscale="Viridis",
            colorbar={"title": "s"},
            hovertemplate="yaw %{x}, pitch %{y}: %{z:.2f} s<extra></extra>",
        )
    )
    turn = np.radians(np.arange(0, 361, 5))
    circle = go.Scatter(
        x=cone.yaw_deg + cone.half_angle_deg * np.cos(turn),
        y=cone.pitch_deg + cone.half_angle_deg * np.sin(turn),
        mode="lines",
        line={"color": "#d62728", "dash": "dash"},
        name="cone, about",
        hoverinfo="skip",
    )
    figure.add_trace(circle)
    figure.update_xaxes(title_text="< nose to the image's left, yaw [deg]", range=(90, -90))
    figure.update_yaxes(title_text="pitch [deg], up >", range=(-90, 90), scaleanchor="x")
    return figure.update_layout(height=460, showlegend=False, **_LAYOUT)


def latency(recording: Recording) -> go.Figure:
    """How long images took."""
    known = recording.latency_ms[np.isfinite(recording.latency_ms)]
    figure = go.Figure(go.Histogram(x=known, nbinsx=60, marker={"color": "#1f77b4"}))
    figure.update_xaxes(title_text=f"{recording.latency_name} [ms]")
    figure.update_yaxes(title_text="images")
    return figure.update_layout(height=460, bargap=0.05, **_LAYOUT)


def _pieces(face: FaceTrack, step: int) -> list[NDArray[np.intp]]:
    """Indices of the points to draw, cut where the face was not seen for an image or more."""
    cuts = np.nonzero(np.diff(face.image) > 1)[0] + 1
    return [piece[::step] for piece in np.split(np.arange(len(face.image)), cuts)]


def _band(time: FloatArray, values: FloatArray, std: FloatArray) -> tuple[FloatArray, FloatArray]:
    x = np.concatenate([time, time[::-1]])
    return x, np.concatenate([values + std, (values - std)[::-1]])


def _joined(parts: list[tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """One line of several parts, with holes between them."""
    hole = np.array([np.nan])
    x = [array for part in parts for array in (part[0], hole)]
    y = [array for part in parts for array in (part[1], hole)]
    return np.concatenate(x or [hole]), np.concatenate(y or [hole])
