# SPDX-License-Identifier: Apache-2.0
"""Pictures of every kind: turned and mirrored as they say, limited, whole, and how many."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from headpose_core.errors import ImageError
from headpose_core.images import image_files
from headpose_core.images.image_files import jpeg_comment, read_image, read_photo, write_image
from headpose_core.types import Image
from tests.places import REPOSITORY

pillow = pytest.importorskip("PIL.Image", reason="needs Pillow")

QUARTERS = np.kron(
    np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8),
    np.ones((24, 32, 1), np.uint8),
)
# By the number of EXIF (TIFF 6.0, tag 274): how a picture that is stored like that is shown.
SHOWN = {
    1: QUARTERS,
    2: QUARTERS[:, ::-1],
    3: QUARTERS[::-1, ::-1],
    4: QUARTERS[::-1],
    5: QUARTERS.transpose(1, 0, 2),
    6: np.rot90(QUARTERS, 3),
    7: np.rot90(QUARTERS, 2).transpose(1, 0, 2),
    8: np.rot90(QUARTERS),
}


def encoded(image: Image, kind: str, orientation: int = 1, others: list[Image] = []) -> bytes:  # noqa: B006
    """A picture as Pillow writes it; in AVIF and HEIC the container itself says how to turn it."""
    if kind in ("AVIF", "HEIF"):
        if kind == "HEIF":
            pytest.importorskip("pillow_heif", reason="needs pillow-heif").register_heif_opener()
        elif kind not in pillow.registered_extensions().values():
            pytest.skip("needs a Pillow that knows AVIF")
    exif = pillow.Exif()
    exif[274] = orientation
    options = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif.tobytes()}
    if others:
        options |= {"save_all": True, "append_images": [pillow.fromarray(one) for one in others]}
    file = io.BytesIO()
    pillow.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, rows: int) -> bytes:
    """A black PNG of one bit, whose data hold so many rows."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes((width // 8 + 1) * rows), 9)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_pictures_are_turned_and_mirrored(tmp_path: Path, kind: str, orientation: int) -> None:
    (tmp_path / "a").write_bytes(encoded(QUARTERS, kind, orientation))
    shown, expected = read_image(tmp_path / "a"), SHOWN[orientation]
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG2000", "PPM", "PGM"])
def test_other_kinds_are_read(tmp_path: Path, kind: str) -> None:
    grey = np.repeat(QUARTERS[..., 1:2], 3, axis=2)
    image = grey if kind == "PGM" else QUARTERS
    stored = pillow.fromarray(image[..., 0] if kind == "PGM" else image)
    stored.save(tmp_path / "a", "PPM" if kind == "PGM" else kind)
    photo = read_photo(tmp_path / "a")
    assert photo.count == 1
    assert np.abs(photo.pixels.astype(int) - image).mean() < 8


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "HEIF"])
@pytest.mark.parametrize("count", [2, 5])
def test_of_several_pictures_the_first_is_taken(tmp_path: Path, kind: str, count: int) -> None:
    others = [np.roll(QUARTERS, 7 * i, axis=1) for i in range(1, count)]
    (tmp_path / "a").write_bytes(encoded(QUARTERS, kind, others=others))
    photo = read_photo(tmp_path / "a")
    assert photo.count == count
    assert np.abs(photo.pixels.astype(int) - QUARTERS).mean() < 8


@pytest.mark.parametrize(
    "data",
    [
        png(30000, 30000, 30000),
        png(100000, 4000, 0),
        b"P5\n40000 10000\n255\n" + bytes(100),
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(20),
        b"BM"
        + struct.pack("<IHHI", 90, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 50000, 50000, 1, 24, 0, 0, 0, 0, 0, 0)
        + bytes(40),
        b"\xff\xd8\xff\xc0\x00\x11\x08"
        + struct.pack(">HH", 65000, 65000)
        + b"\3\1\x22\0\2\x11\1\3\x11\1\xff\xda\x00\x08\1\1\0\0?\0"
        + bytes(30)
        + b"\xff\xd9",
    ],
    ids=["png", "wide png", "pgm", "gif", "bmp", "jpeg"],
)
def test_more_pixels_than_the_limit_are_refused(tmp_path: Path, data: bytes) -> None:
    """In a process that could not hold them: 900 megapixels of RGB are 2.7 GB."""
    (tmp_path / "a").write_bytes(data)
    code = (
        "import resource, sys; from headpose_core.images.image_files import read_image\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "try: read_image(sys.argv[1])\n"
        "except ValueError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a")]
    variables = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    told = subprocess.run(
        command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=True
    )
    assert "pixels" in told.stdout, told


def test_the_limit_is_the_stated_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert image_files.MOST_PIXELS == 268_435_456
    for kind in ("PNG", "JPEG", "GIF", "HEIF", "WEBP"):
        (tmp_path / "a").write_bytes(encoded(QUARTERS, kind))
        monkeypatch.setattr(image_files, "MOST_PIXELS", 64 * 48)
        assert read_image(tmp_path / "a").shape == (48, 64, 3)
        monkeypatch.setattr(image_files, "MOST_PIXELS", 64 * 48 - 1)
        with pytest.raises(ImageError, match="expected up to 3071 pixels, got 64x48"):
            read_image(tmp_path / "a")


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF", "HEIF", "JPEG2000"]
)
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.9])
def test_what_is_cut_off_is_refused(tmp_path: Path, kind: str, kept: float) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    data = encoded(noise, kind)
    (tmp_path / "a").write_bytes(data[: int(kept * len(data))])
    with pytest.raises(ImageError, match=r"a: expected"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("ending", [".png", ".tif", ".pgm"])
def test_sixteen_bits_are_scaled_by_those_in_use(tmp_path: Path, bits: int, ending: str) -> None:
    most = (1 << bits) - 1
    values = np.linspace(0, most, 64 * 48).reshape(48, 64).astype(np.uint16)
    cv2.imwrite(str(tmp_path / f"a{ending}"), values)
    image = read_image(tmp_path / f"a{ending}")
    expected = np.repeat((values / most * 255)[..., None], 3, axis=2)
    assert np.abs(image - expected).max() <= 1.0


@pytest.mark.parametrize(
    "name",
    ["12:00.png", "-a.jpg", "%03d.png", "[1].png", os.fsdecode(b"\xe9\xff.png"), "a\n.png", "-"],
)
def test_any_name_is_read_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if name != "-":
        write_image(Path(name), QUARTERS)
    else:
        Path("./-").write_bytes(encoded(QUARTERS, "PNG"))
    assert read_image(name).shape == QUARTERS.shape


def test_devices_are_no_pictures() -> None:
    with pytest.raises(ImageError, match="this is a device"):
        read_image("/dev/zero")


@pytest.mark.parametrize("comment", ["annotated", "a" * 300])
def test_a_comment_comes_back(tmp_path: Path, comment: str) -> None:
    write_image(tmp_path / "a.jpg", QUARTERS, comment)
    data = (tmp_path / "a.jpg").read_bytes()
    assert jpeg_comment(data[:4096]) == comment
    with pillow.open(tmp_path / "a.jpg") as picture:
        assert picture.info["comment"] == comment.encode()
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - QUARTERS).mean() < 6


@pytest.mark.parametrize(
    "start", [b"", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1\0\x10Exif", b"\xff\xd8\xff\xe0\xff\xff"]
)
def test_what_has_no_comment_has_none(start: bytes) -> None:
    assert jpeg_comment(start) == ""
