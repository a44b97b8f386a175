# SPDX-License-Identifier: Apache-2.0
"""Pictures and videos of every kind with bytes cut, flipped, doubled and in each other's place.

Each kind in a process of its own, with little memory and an alarm: the libraries that unpack them
are C, and what they do wrong ends the process.
"""

from __future__ import annotations

import io
import os
import random
import resource
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from headpose_core.errors import ImageError
from headpose_core.images.image_files import read_photo
from headpose_core.images.video import VideoReader
from tests.damages import DAMAGES
from tests.places import REPOSITORY
from tests.video_files import encode, pictures, with_matrix

PICTURES = ["AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP"]
VIDEOS = {
    ".avi": "mpeg4",
    ".flv": "flv",
    ".mkv": "libx264",
    ".mov": "mpeg4",
    ".mp4": "libx264",
    ".mpg": "mpeg1video",
    ".ts": "mpeg2video",
    ".webm": "libvpx",
}
LONGEST_S = 60  # for one file
MOST_BYTES = 4 << 30  # of addresses, of which threads and libraries take most
MOST_IMAGES = 500


def whole_picture(kind: str) -> bytes:
    from PIL import Image

    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    noise = np.random.default_rng(0).integers(0, 256, (80, 60, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    file = io.BytesIO()
    Image.fromarray(noise).save(file, kind, exif=exif.tobytes())
    return file.getvalue()


def whole_video(folder: Path, ending: str) -> bytes:
    path = encode(folder / f"whole{ending}", pictures(24), codec=VIDEOS[ending])
    data = path.read_bytes()
    return with_matrix(data, 0, 1, -1, 0) if ending == ".mp4" else data


def read_damaged(kind: str, folder: str, count: int) -> None:
    """In the process: the number of each file is printed before it is read."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    is_video = kind in VIDEOS
    whole = whole_video(Path(folder), kind) if is_video else whole_picture(kind)
    path, chance, good = Path(folder, f"damaged{kind if is_video else ''}"), random.Random(kind), 0
    for number in range(count):
        print(number, flush=True)
        data = bytearray(whole)
        chance.choice(DAMAGES)(data, chance)
        path.write_bytes(data)
        signal.alarm(LONGEST_S)
        try:
            if is_video:
                images = [image for _, image in islice(VideoReader(path), MOST_IMAGES)]
            else:
                images = [read_photo(path).pixels]
        except ImageError as error:
            assert str(path) in str(error)
            continue
        finally:
            signal.alarm(0)
        assert all(image.ndim == 3 and image.dtype == np.uint8 for image in images)
        good += bool(images)
    print("good", good)


@pytest.mark.parametrize("count", [40, pytest.param(4000, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", [*PICTURES, *VIDEOS])
def test_damaged_files_end_in_images_or_an_image_error(
    tmp_path: Path, kind: str, count: int
) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif", reason="needs pillow-heif")
    code = (
        "import sys; from tests.images.test_file_fuzz import read_damaged\n"
        "read_damaged(sys.argv[1], sys.argv[2], int(sys.argv[3]))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, kind, str(tmp_path), str(count)],
        cwd=REPOSITORY,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, f"{told.stdout.split()[-1:]}: {told.returncode}, {told.stderr}"
    word, good = told.stdout.split()[-2:]
    assert word == "good" and 0 < int(good) < count, good
