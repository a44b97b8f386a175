# SPDX-License-Identifier: Apache-2.0
"""Videos as they come: pixels, turns, time, names and what is broken; and what is written."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from headpose_core.errors import ImageError
from headpose_core.images.capture import open_camera
from headpose_core.images.video import VideoReader
from headpose_core.images.video_writer import write_video
from headpose_core.types import Image
from tests.places import REPOSITORY
from tests.video_files import encode, pictures, with_matrix

EVEN_MS = [33 * i for i in range(40)]
SLOW_MS = [0, 100, 150, 1150, 1190, 3000, 3040, 7040]
BURSTS_MS = [*range(0, 330, 33), *range(5000, 5330, 33), 9000]


def read(path: Path) -> tuple[list[float], list[Image], list[str]]:
    reader = VideoReader(path)
    stamps, images = zip(*reader, strict=True)
    return list(stamps), list(images), reader.notes


def apart(image: Image, other: Image) -> float:
    assert image.shape == other.shape
    return float(np.abs(image.astype(int) - other).mean())


@pytest.mark.parametrize(
    ("size", "ratio", "shown"),
    [
        ((48, 48), Fraction(4, 3), (64, 48)),
        ((64, 32), Fraction(3, 4), (48, 32)),
        ((64, 48), Fraction(8, 9), (57, 48)),
        ((64, 48), Fraction(1), (64, 48)),
    ],
)
@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_pixels_become_square(tmp_path: Path, size, ratio, shown, ending: str) -> None:
    path = encode(tmp_path / f"a{ending}", pictures(3, size), ratio=ratio)
    _, images, _ = read(path)
    assert images[0].shape == (shown[1], shown[0], 3)
    assert apart(images[0], pictures(1, shown)[0]) < 12


@pytest.mark.parametrize(
    "matrix",
    [
        *[(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)],
        *[(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)],
    ],
)
def test_images_are_turned_and_mirrored(tmp_path: Path, matrix: tuple[int, ...]) -> None:
    path = encode(tmp_path / "a.mp4", pictures(3))
    (plain, *_) = read(path)[1]
    path.write_bytes(with_matrix(path.read_bytes(), *matrix))
    (shown, *_) = read(path)[1]
    a, b, c, d = matrix
    y, x = np.mgrid[: plain.shape[0], : plain.shape[1]]
    to_x, to_y = a * x + c * y, b * x + d * y
    expected = np.zeros_like(shown)
    expected[to_y - to_y.min(), to_x - to_x.min()] = plain
    np.testing.assert_array_equal(shown, expected)


def test_pixels_are_made_square_before_they_are_turned(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", pictures(2, (48, 48)), ratio=Fraction(4, 3))
    path.write_bytes(with_matrix(path.read_bytes(), 0, 1, -1, 0))
    (shown, *_) = read(path)[1]
    assert apart(shown, np.rot90(pictures(1)[0], 3)) < 12


@pytest.mark.parametrize(
    "stamps_ms", [EVEN_MS, SLOW_MS, BURSTS_MS], ids=["even", "slow", "bursts"]
)
@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_time_is_kept_in_the_copy(tmp_path: Path, stamps_ms: list[int], ending: str) -> None:
    images = pictures(len(stamps_ms))
    stamps, seen, notes = read(encode(tmp_path / f"a{ending}", images, stamps_ms=stamps_ms))
    np.testing.assert_allclose(stamps, np.array(stamps_ms) / 1000, atol=2e-3)
    assert notes == []
    with write_video(tmp_path / "copy.mp4", 30.0) as writer:
        for stamp, image in zip(stamps, seen, strict=True):
            writer.write(image, 1.7e9 + stamp)  # of a camera's clock
    copied, copies, notes = read(tmp_path / "copy.mp4")
    np.testing.assert_allclose(copied, stamps, atol=1e-4)
    assert notes == []
    assert max(map(apart, copies, seen)) < 12
    with (tmp_path / "copy.mp4").open("rb") as file:
        length = av.open(file).duration / 1e6
    assert length == pytest.approx(stamps[-1] + 1 / 30, abs=0.01)


def test_a_clock_that_is_set_costs_one_step(tmp_path: Path) -> None:
    with write_video(tmp_path / "a.mp4", 10.0) as writer:
        for stamp in (5.0, 5.1, 1.7e9, 1.7e9 + 0.1, 3.0, 3.2):
            writer.write(pictures(1)[0], stamp)
    assert read(tmp_path / "a.mp4")[0] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.6])


def test_a_trimmed_video_raises_no_alarm(tmp_path: Path) -> None:
    """An editor hides the first images by an edit list; they are announced all the same."""
    source = av.open(io.BytesIO(encode(tmp_path / "a.mp4", pictures(60)).read_bytes()))
    (video,) = source.streams.video
    with (tmp_path / "trimmed.mp4").open("wb") as file:
        box = av.open(file, "w", format="mp4", options={"avoid_negative_ts": "disabled"})
        stream = box.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is not None:
                early = int(Fraction(1, 2) / video.time_base)
                packet.dts, packet.pts = packet.dts - early, packet.pts - early
                packet.stream = stream
                box.mux(packet)
        box.close()
    stamps, _, notes = read(tmp_path / "trimmed.mp4")
    assert (len(stamps), notes) == (45, [])
    np.testing.assert_allclose(np.diff(stamps), 1 / 30, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "2031-01-02T03:04:05.mp4",
            "rtsp:x.mp4",
            "http:a.mp4",
            "-a.mp4",
            "a%03d.mp4",
            "[ab].mp4",
        ),
        *("file:a.mp4", "a\nb.mp4", "-", "a*?.mp4", "Zoë ñ.mp4", "pipe:0", "concat:a|b"),
        *(os.fsdecode(b"caf\xe9.mp4"), os.fsdecode(b"\xff\xfe"), "a" * 251 + ".mp4"),
    ],
)
def test_any_name_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(encode(tmp_path / "plain.mp4", pictures(4)).read_bytes())
    assert len(read(Path(name))[0]) == 4


@pytest.mark.parametrize(
    "name",
    [
        *("12:00.mp4", "rtsp:x.mp4", "-a.mp4", "%d%s.mp4", "[ab].mp4", "new/er/a.mp4", "A.MP4"),
        *(os.fsdecode(b"caf\xe9.mp4"), "a" * 251 + ".mp4"),
    ],
)
def test_any_name_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with write_video(name, 30.0) as writer:
        for image in pictures(4):
            writer.write(image)
    assert len(read(tmp_path / name)[0]) == 4
    assert [file.name for file in (tmp_path / name).parent.iterdir()] == [Path(name).name]


@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        *((".avi", "mpeg4"), (".flv", "flv"), (".mkv", "mpeg4"), (".mov", "mpeg4")),
        *((".ts", "mpeg2video"), (".mts", "mpeg2video"), (".mpg", "mpeg1video")),
        *((".webm", "libvpx"), (".m4v", "mpeg4")),
    ],
)
def test_containers_are_read_whole_and_from_zero(tmp_path: Path, ending: str, codec: str) -> None:
    stamps, images, notes = read(encode(tmp_path / f"a{ending}", pictures(20), codec=codec))
    assert (len(stamps), notes) == (20, [])
    np.testing.assert_allclose(stamps, np.arange(20) / 30, atol=2e-3)
    assert max(map(apart, images, pictures(20))) < 16


@pytest.mark.parametrize(
    ("ending", "told"),
    [(".avi", "announces 120 images"), (".mkv", "its images end"), (".webm", "its images end")],
)
def test_what_is_cut_off_is_said(tmp_path: Path, ending: str, told: str) -> None:
    codec = "libvpx" if ending == ".webm" else "mpeg4"
    whole = encode(tmp_path / f"whole{ending}", pictures(120), codec=codec).read_bytes()
    (tmp_path / f"a{ending}").write_bytes(whole[: len(whole) // 2])
    stamps, _, notes = read(tmp_path / f"a{ending}")
    assert 20 < len(stamps) < 100
    assert any(told in note for note in notes)


def test_a_cut_video_that_begins_with_its_index_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as box:
        stream = box.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frames = [av.VideoFrame.from_ndarray(image, format="rgb24") for image in pictures(60)]
        for packet in [packet for frame in [*frames, None] for packet in stream.encode(frame)]:
            box.mux(packet)
    whole = path.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    path.write_bytes(whole[: -(len(whole) - whole.index(b"mdat")) // 3])
    stamps, _, notes = read(path)
    assert 20 < len(stamps) < 60
    assert any("announces 60 images" in note for note in notes)


@pytest.mark.parametrize("told", [b"00:00:nan", b"99:99:inf", b"abc", b"-1:00:00", b"1e9:0:0"])
def test_a_strange_length_is_no_length(tmp_path: Path, told: bytes) -> None:
    whole = encode(tmp_path / "a.mkv", pictures(4)).read_bytes()
    length = b"00:00:00.133000000"
    assert length in whole
    (tmp_path / "b.mkv").write_bytes(whole.replace(length, told.ljust(len(length), b"\0")))
    assert len(read(tmp_path / "b.mkv")[0]) == 4


def test_damaged_images_are_counted(tmp_path: Path) -> None:
    whole = bytearray(encode(tmp_path / "a.mp4", pictures(60), codec="libx264").read_bytes())
    begin = whole.index(b"mdat")
    for at in range(begin + 300, begin + 1500, 90):
        whole[at] ^= 0x5A
    (tmp_path / "b.mp4").write_bytes(whole)
    stamps, _, notes = read(tmp_path / "b.mp4")
    assert len(stamps) > 20
    assert any("damaged" in note or "cannot be decoded" in note for note in notes)


def test_a_list_of_other_files_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Playlists are text that names files and addresses, and FFmpeg knows them by their text."""
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "other.ts", pictures(4), codec="mpeg2video")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n"
        for text in (
            playlist.format(f"http://{address}/a.ts"),
            playlist.format("other.ts"),
            "ffconcat version 1.0\nfile other.ts\n",
            f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
            f"m=video {address.rpartition(':')[2]} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        ):
            for name in ("a.mp4", "a.m3u8"):
                Path(name).write_text(text)
                with pytest.raises(ImageError, match=rf"{name}: expected a video"):
                    read(Path(name))
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("size", [(30000, 30000), (65535, 2000)])
def test_more_pixels_than_the_limit_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    screen = struct.pack("<HH", *size) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    image = b"," + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x44\x01\0;"
    (tmp_path / "a.gif").write_bytes(b"GIF89a" + screen + image)
    reader = VideoReader(tmp_path / "a.gif")
    assert list(reader) == []
    assert reader.notes


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_memory_and_threads_do_not_grow(tmp_path: Path, codec: str) -> None:
    """Frames that are kept until Python looks for circles: 300 of these have 140 MB."""
    encode(tmp_path / "a.mp4", pictures(300, (640, 480)), codec=codec)
    code = (
        "import os, resource, sys\n"
        "from headpose_core.images.video import VideoReader\n"
        "def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "for number, _ in enumerate(VideoReader(sys.argv[1])):\n"
        "    if number == 60: before = most()\n"
        "print(most() - before, len(os.listdir('/proc/self/task')))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.mp4")]
    variables = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    grown, threads = map(int, subprocess.check_output(command, env=variables).split())
    assert grown < 40
    assert threads < 12 + 4 * (os.cpu_count() or 1)


@pytest.mark.parametrize("source", ["9" * 30, os.fsdecode(b"caf\xe9.mp4"), "rtsp:", "\0", ""])
def test_strange_cameras_are_no_cameras(source: str) -> None:
    with pytest.raises(ImageError, match="expected one that OpenCV can open"):
        open_camera(source)


def test_sound_and_covers_are_no_videos(tmp_path: Path) -> None:
    with (tmp_path / "a.m4v").open("wb") as file:
        box = av.open(file, "w", format="mp4")
        stream = box.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode()]:
            box.mux(packet)
        box.close()
    with pytest.raises(ImageError, match="there are no images in it"):
        VideoReader(tmp_path / "a.m4v")


@pytest.mark.parametrize(("found", "told"), [(None, "pip install av"), ("14.2.0", "got 14.2.0")])
def test_a_missing_or_old_pyav_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None, told: str
) -> None:
    if found:
        monkeypatch.setattr(av, "__version__", found)
    else:
        monkeypatch.setitem(sys.modules, "av", None)
    for use in (VideoReader, lambda path: write_video(path, 30.0).__enter__()):
        with pytest.raises(ImageError, match=told):
            use(tmp_path / "a.mp4")


@pytest.mark.parametrize("comment", [b"caf\xe9", b"\xff\xfe\0\0", b"\xe3\x81"])
def test_metadata_need_not_be_utf_8(tmp_path: Path, comment: bytes) -> None:
    with write_video(tmp_path / "a.mp4", 30.0, "x" * len(comment)) as writer:
        writer.write(pictures(1)[0])
    data = (tmp_path / "a.mp4").read_bytes().replace(b"x" * len(comment), comment)
    (tmp_path / "a.mp4").write_bytes(data)
    assert len(read(tmp_path / "a.mp4")[0]) == 1


def test_a_comment_comes_back(tmp_path: Path) -> None:
    for comment in ("annotated", ""):
        with write_video(tmp_path / "a.mp4", 30.0, comment) as writer:
            writer.write(pictures(1)[0])
        assert VideoReader(tmp_path / "a.mp4").comment == comment
