# SPDX-License-Identifier: Apache-2.0
"""One HTML file with everything in it: the browser is told to load nothing from anywhere."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from headpose_core import __version__
from headpose_core.report import figures
from headpose_core.report.recording import Recording
from headpose_core.report.statistics import Cone, face_times, gaps, time_without_faces_s
from headpose_core.report.thumbnails import Thumbnail

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:"
)
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 24px auto;
       padding: 0 16px; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 18px; margin: 28px 0 6px; }
p { margin: 4px 0 8px; color: #555; }
table { border-collapse: collapse; } td, th { padding: 3px 14px 3px 0; text-align: right;
       border-bottom: 1px solid #e5e5e5; } td:first-child, th:first-child { text-align: left; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; }
figure { display: inline-block; margin: 0 12px 12px 0; }
figcaption { font-size: 13px; color: #555; }
"""
_MOST_GAPS = 20


def page(recording: Recording, cone: Cone, pictures: list[Thumbnail]) -> str:
    """The HTML text."""
    parts = [
        f"<h1>Head poses of {escape(recording.source)}</h1>",
        _summary(recording),
        *(f"<p>Note: {escape(note)}.</p>" for note in recording.notes),
        f"<h2>Facing and away</h2>{_attention(recording, cone)}",
        f"<h2>Angles over time, with one sigma</h2>{_note_on_points(recording)}",
        _plot("timeline", figures.timeline(recording, cone)),
        "<div class=pair><div><h2>Where heads pointed</h2>",
        _plot("directions", figures.heat_map(recording, cone)),
        f"</div><div><h2>Latency</h2>{_plot('latency', figures.latency(recording))}</div></div>",
        _extremes(pictures),
        f"<h2>Gaps between images</h2>{_gaps(recording)}",
    ]
    return (
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(recording.source)}: head poses</title><style>{_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>{''.join(parts)}"
        f"<p>headpose {__version__}. Angles as in EHPNet and 300W-LP: yaw &gt; 0 nose to the "
        "image's left, pitch &gt; 0 up, roll &gt; 0 clockwise. It says where heads point, not "
        "what people attend to.</p></body></html>\n"
    )


def _summary(recording: Recording) -> str:
    lasts = recording.stamps_s[-1] - recording.stamps_s[0]
    rate = f" ({(len(recording.stamps_s) - 1) / lasts:.1f} per second)" if lasts > 0 else ""
    return (
        f"<p>Images: {len(recording.stamps_s)} in {lasts:.1f} s{rate}; faces: "
        f"{len(recording.faces)}, {time_without_faces_s(recording):.1f} s without any.</p>"
    )


def _attention(recording: Recording, cone: Cone) -> str:
    rows = "".join(
        f"<tr><td>{escape(face.face_id)}</td><td>{face.seen_s:.1f} s</td>"
        f"<td>{face.seen_s - face.away_s:.1f} s</td><td>{face.away_s:.1f} s</td>"
        f"<td>{_percent(face.away_s, face.seen_s)}</td><td>{face.longest_away_s:.1f} s</td></tr>"
        for face in face_times(recording, cone)
    )
    return (
        f"<p>Facing: within {cone.half_angle_deg:g} degrees of yaw {cone.yaw_deg:g}, pitch "
        f"{cone.pitch_deg:g}.</p><table id=attention><tr><th>face<th>seen<th>facing<th>away<th>"
        f"share<th>longest away</tr>{rows}</table>"
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def _note_on_points(recording: Recording) -> str:
    step = figures.stride(recording)
    return f"<p>Every {step}. point is drawn.</p>" if step > 1 else ""


def _extremes(pictures: list[Thumbnail]) -> str:
    if not pictures:
        return ""
    shown = "".join(
        f'<figure><img alt="" src="data:image/jpeg;base64,{picture.jpeg}"><figcaption>'
        f"{escape(picture.meaning)}<br>{escape(picture.face_id)}, {picture.angle_deg:+.0f} deg at "
        f"{picture.time_s:.1f} s</figcaption></figure>"
        for picture in pictures
    )
    return f"<h2>Extremes</h2><div id=extremes>{shown}</div>"


def _gaps(recording: Recording) -> str:
    found = gaps(recording)
    if not found:
        return "<p>None.</p>"
    listing = ", ".join(f"{length:.2f} s at {at:.1f} s" for at, length in found[:_MOST_GAPS])
    more = f" and {len(found) - _MOST_GAPS} more" if len(found) > _MOST_GAPS else ""
    return f"<p id=gaps>{len(found)}: {listing}{more}.</p>"


def _plot(name: str, figure: go.Figure) -> str:
    # "<" could end the script; JSON may write it in another way.
    data = figure.to_json().replace("<", "\\u003c")
    return (
        f"<div id={name}></div><script>(({{data, layout}}) => Plotly.newPlot('{name}', data, "
        f"layout, {{responsive: true, displaylogo: false}}))({data})</script>"
    )
