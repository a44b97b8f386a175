# SPDX-License-Identifier: Apache-2.0
"""`headpose report`: what its page says, as a real browser shows it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("plotly", reason="needs plotly: pip install 'headpose-ehpnet[report]'")

from headpose_core.commands.cli import main
from headpose_core.report.recording import read_recording
from headpose_core.report.statistics import Cone, durations_s, face_times, gaps

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
EVIL = "f1</script><script>document.title='broken'</script><b>&"


def head(face_id: str, yaw: float, pitch: float = 0.0, roll: float = 0.0) -> dict[str, object]:
    angles = {"yaw_deg": yaw, "pitch_deg": pitch, "roll_deg": roll}
    return {"face_id": face_id, "box": [10, 10, 60, 70], "std_deg": [2.0, 3.0, 4.0], **angles}


def write_poses(path: Path, images: list[tuple[float, list[dict[str, object]]]]) -> Path:
    """JSON lines of (stamp, heads)."""
    lines = ({"stamp": s, "processing_ms": 5.0, "heads": heads} for s, heads in images)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def poses(tmp_path: Path) -> Path:
    """10 s at 10 Hz: looks ahead, away for 2 s, a gap of 1 s, nobody for 1 s."""
    images = []
    for i in range(100):
        yaw = 50.0 if 30 <= i < 50 else 5.0
        heads = [] if 80 <= i < 90 else [head("driver", yaw)]
        images.append((100.0 + i / 10 + (0.9 if i >= 60 else 0.0), heads))
    return write_poses(tmp_path / "poses.jsonl", images)


def test_time_away_is_counted_in_seconds(poses: Path) -> None:
    recording = read_recording(poses, "/head_pose")
    (face,) = face_times(recording, Cone(30.0))
    assert face.away_s == pytest.approx(2.0, abs=0.01)
    assert face.longest_away_s == pytest.approx(2.0, abs=0.01)
    assert face.seen_s == pytest.approx(9.0 + 0.2, abs=0.01)  # the image before the gap counts 3
    assert gaps(recording) == [(pytest.approx(5.9), pytest.approx(1.0))]
    assert durations_s(recording).sum() == pytest.approx(10.2, abs=0.01)
    (other,) = face_times(recording, Cone(30.0, yaw_deg=50.0))
    assert other.away_s == pytest.approx(face.seen_s - 2.0, abs=0.01)
    with pytest.raises(ValueError, match=r"cone: expected 0 to 180 degrees, got 0\.0"):
        Cone(0.0)


def test_off_centre_is_the_angle_between_directions(tmp_path: Path) -> None:
    heads = [head("a", 40.0), head("b", 0.0, -25.0), head("c", 20.0, 0.0, 60.0)]
    recording = read_recording(write_poses(tmp_path / "p.jsonl", [(0.0, heads)]), "")
    off = {face.face_id: face.off_centre_deg(0.0, 0.0)[0] for face in recording.faces}
    assert off == pytest.approx({"a": 40.0, "b": 25.0, "c": 20.0})  # roll changes nothing


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected poses of at least one image"),
        ("{}\n", r"line 1: expected a line of `headpose video --jsonl`"),
        ("nonsense\n", "line 1: expected a line"),
        ('{"stamp": 1, "heads": [{"box": [1], "std_deg": [1, 1, 1]}]}\n', "has not 4 numbers"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, capsys, text: str, reason: str) -> None:
    (tmp_path / "p.jsonl").write_text(text)
    arguments = ["report", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "r.html")]
    assert main(arguments) == 1
    assert re.search(reason, capsys.readouterr().err)
    assert not (tmp_path / "r.html").exists()


@pytest.fixture
def shown(tmp_path: Path):
    """The page as the browser has it after its scripts ran."""
    if not BROWSER:
        pytest.skip("needs Chromium (apt install chromium)")

    def show(page: Path) -> str:
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000"]
        command += ["--window-size=1150,1900", page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return show


def test_the_browser_shows_plots_table_and_pictures(
    car_video: Path, tiny_model_file: Path, tmp_path: Path, shown
) -> None:
    poses, out = tmp_path / "poses.jsonl", tmp_path / "report.html"
    model = ["--model", str(tiny_model_file), "--quiet", "--every", "4"]
    assert main(["video", str(car_video), "--jsonl", str(poses), *model]) == 0
    options = ["--video", str(car_video), "--cone", "25", "--out", str(out)]
    assert main(["report", str(poses), *options]) == 0
    dom = shown(out)
    assert "default-src 'none'" in dom  # nothing may be loaded from anywhere
    assert not re.findall(r"<script src|<link|<img[^>]+http", dom)
    lines = re.findall(r'class="js-line" d="M[^"]+"', dom)
    assert len([line for line in lines if line.count("L") > 20]) >= 4  # three angles and the cone
    assert re.findall(r'class="js-fill"', dom)
    for text in ("yaw [deg]", "pitch [deg]", "roll [deg]", "off centre [deg]", "images"):
        assert text in dom
    assert 'class="hm"' in dom  # the heat map, an image in the plot
    assert "<td>f1</td>" in dom
    assert "within 25 degrees of yaw 0" in dom
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', dom)
    assert len(pictures) == 6


def test_names_from_files_stay_text(tmp_path: Path, shown) -> None:
    images = [(float(i), [head(EVIL, float(i))]) for i in range(5)]
    poses = write_poses(tmp_path / "<i>poses.jsonl", images)
    assert main(["report", str(poses), "--out", str(tmp_path / "r.html")]) == 0
    dom = shown(tmp_path / "r.html")
    assert "<title>&lt;i&gt;poses.jsonl: head poses</title>" in dom
    assert "document.title='broken'</script><b>" not in dom
    assert "&lt;/script&gt;&lt;script&gt;document.title" in dom
    assert "<i>poses" not in dom


def test_a_recording_without_faces_has_a_page_too(tmp_path: Path) -> None:
    poses = write_poses(tmp_path / "p.jsonl", [(1.0, [])])
    assert main(["report", str(poses), "--out", str(tmp_path / "r.html")]) == 0
    assert (
        "<p>Images: 1 in 0.0 s; faces: 0, 0.0 s without any.</p>"
        in (tmp_path / "r.html").read_text()
    )


def test_long_recordings_are_thinned_and_it_is_said(tmp_path: Path) -> None:
    images = [(i / 30, [head("f1", 10 * np.sin(i / 100))]) for i in range(9000)]
    poses = write_poses(tmp_path / "p.jsonl", images)
    assert main(["report", str(poses), "--out", str(tmp_path / "r.html")]) == 0
    assert "Every 3. point is drawn." in (tmp_path / "r.html").read_text()
