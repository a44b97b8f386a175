# SPDX-License-Identifier: Apache-2.0
"""Pictures and videos: colours, orientation and sizes survive, bad files are said."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from headpose_core.errors import ImageError
from headpose_core.images.image_files import read_image, write_image
from headpose_core.images.video import VideoReader
from headpose_core.images.video_writer import write_video

# Red, green / blue, white: every turn and every order of channels looks different.
QUARTERS = np.kron(
    np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8),
    np.ones((24, 32, 1), np.uint8),
)


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF block that says how to turn it."""
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + bytes([0, orientation, 0, 0])
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + b"\0\0\0\0"
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]


def test_colours_survive_writing_and_reading(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", QUARTERS)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), QUARTERS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, 3), (3, 2), (8, 1)])
def test_photos_are_turned_upright(tmp_path: Path, orientation: int, turns: int) -> None:
    write_image(tmp_path / "a.jpg", QUARTERS)
    path = tmp_path / "b.jpg"
    path.write_bytes(with_orientation((tmp_path / "a.jpg").read_bytes(), orientation))
    upright, expected = read_image(path), np.rot90(QUARTERS, turns)
    assert upright.shape == expected.shape
    assert np.abs(upright.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("values", [np.uint16([[0, 65535]]), np.uint8([[[0, 0, 0, 9]] * 2])])
def test_other_pixel_types_become_rgb(tmp_path: Path, values: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), values)
    image = read_image(tmp_path / "a.png")
    assert (image.shape, image.dtype) == ((1, 2, 3), np.uint8)


def test_what_is_no_picture_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    for name, reason in {
        "empty.jpg": "expected a picture",
        "text.jpg": "expected a picture",
        "absent.jpg": "No such file",
    }.items():
        with pytest.raises(ImageError, match=rf"{name}: .*{reason}"):
            read_image(tmp_path / name)


def test_a_picture_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.docx"):
        write_image(tmp_path / "a.docx", QUARTERS)
    with pytest.raises(FileNotFoundError):
        write_image(tmp_path / "absent" / "a.png", QUARTERS)
    assert not list(tmp_path.iterdir())


def test_a_video_comes_back_with_its_stamps(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with write_video(path, 25.0) as writer:
        for i in range(10):
            writer.write(np.roll(QUARTERS, 3 * i, axis=1)[:47, :63])  # odd sizes lose a line
        assert not path.exists()
    reader = VideoReader(path)
    stamps, images = zip(*reader, strict=True)
    assert (reader.fps, reader.count, len(images)) == (25.0, 10, 10)
    np.testing.assert_allclose(stamps, np.arange(10) / 25, atol=1e-6)
    assert images[0].shape == (46, 62, 3)
    assert np.abs(images[7].astype(int) - np.roll(QUARTERS, 21, axis=1)[:46, :62]).mean() < 16
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_an_interrupted_video_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), write_video(tmp_path / "a.mp4", 25.0) as writer:
        writer.write(QUARTERS)
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_images_of_another_size_do_not_fit_a_video(tmp_path: Path) -> None:
    with write_video(tmp_path / "a.mp4", 25.0) as writer:
        writer.write(QUARTERS)
        with pytest.raises(ImageError, match="expected images of"):
            writer.write(QUARTERS[:20])


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for name in ("text.mp4", "absent.mp4"):
        with pytest.raises(ImageError, match=rf"{name}: expected a video"):
            VideoReader(tmp_path / name)


def test_what_cannot_be_a_video_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"name of an \.mp4"), write_video(tmp_path / "a.avi", 25):
        pass
    with (
        pytest.raises(ImageError, match="cannot write a video of 0x24 pixels"),
        write_video(tmp_path / "a.mp4", 25) as video,
    ):
        video.write(QUARTERS[:24, :1])
    with pytest.raises(ImageError, match="at least one"), write_video(tmp_path / "a.mp4", 25):
        pass
    assert not list(tmp_path.iterdir())


def test_the_car_video_is_read_whole(car_video: Path) -> None:
    """176x144, whose pixels are 128:117."""
    stamps = [stamp for stamp, image in VideoReader(car_video) if image.shape == (144, 193, 3)]
    assert len(stamps) == 120
    np.testing.assert_allclose(np.diff(stamps), 1001 / 30000, atol=1e-4)
