# SPDX-License-Identifier: Apache-2.0
"""A bag of a camera of few bits: its faces are found, and the command says it once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: pip install 'headpose-ehpnet[bags]'")

from headpose_core.bags.type_store import Messages
from headpose_core.bags.writer import write_bag
from headpose_core.commands.cli import main
from tests.bag_files import START_NS, header

IMAGE = "sensor_msgs/msg/Image"


@pytest.mark.parametrize(("encoding", "bits"), [("16UC1", 14), ("bayer_grbg16", 12)])
def test_faces_in_few_bits(
    encoding: str,
    bits: int,
    astronaut: np.ndarray,
    tiny_model_file: Path,
    tmp_path: Path,
    capsys: Any,
) -> None:
    messages = Messages()
    grey = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY).astype("<u2")
    with write_bag(tmp_path / "drive.mcap", messages) as writer:
        writer.announce("/image", IMAGE)
        for number, darker in enumerate((0, 0, 1)):
            image = messages.make(
                IMAGE,
                header=header(messages, number),
                height=512,
                width=512,
                encoding=encoding,
                step=1024,
                data=(grey << (bits - 8 - darker)).view(np.uint8).ravel(),
            )
            writer.write("/image", image, START_NS + number)
    poses = tmp_path / "poses.jsonl"
    files = [str(tmp_path / "drive.mcap"), "--jsonl", str(poses)]
    assert main(["bag", *files, "--model", str(tiny_model_file), "--quiet"]) == 0
    told = capsys.readouterr().err
    assert told.count(f"the 16-bit images use {bits} bits") == told.count("16-bit") == 1
    lines = poses.read_text().splitlines()
    assert [len(json.loads(line)["heads"]) for line in lines] == [1, 1, 1]
