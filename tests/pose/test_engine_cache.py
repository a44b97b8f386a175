# SPDX-License-Identifier: Apache-2.0
"""TensorRT's engines are kept where nobody else can put one, and found by what they fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headpose_core.errors import DeviceError
from headpose_core.output_files import cache_folder
from headpose_core.pose.backends import engine_cache
from headpose_core.pose.backends.backend import Request
from headpose_core.pose.backends.engine_cache import (
    engine_folder,
    engine_key,
    private_folder,
)
from headpose_core.pose.backends.onnxruntime_gpu import tensorrt_options
from tests.tiny_models import tiny_model

MACHINE = {"gpu": "NVIDIA H200-sm90-driver12080", "tensorrt": "101300", "onnxruntime": "1.31.1"}
DATA = tiny_model().SerializeToString()


def test_a_new_folder_is_ours_alone(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        folder = private_folder(tmp_path / "a" / "engines")
    finally:
        os.umask(previous)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert private_folder(folder) == folder


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755, 0o701])
def test_a_folder_that_others_reach_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(DeviceError, match=rf"mode 0700, got 0{mode:o}.*chmod 700"):
        private_folder(tmp_path)


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch) -> None:
    folder = private_folder(tmp_path / "engines")
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(DeviceError, match="belong to user"):
        private_folder(folder)


def test_links_and_files_are_refused(tmp_path: Path) -> None:
    target = private_folder(tmp_path / "target")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(DeviceError, match="got a link"):
        private_folder(tmp_path / "link")
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match="cannot make"):
        private_folder(tmp_path / "file")


def test_the_key_changes_with_all_that_an_engine_depends_on() -> None:
    keys = {engine_key(DATA, MACHINE), engine_key(DATA + b"x", MACHINE)}
    keys |= {engine_key(DATA, {**MACHINE, name: "other"}) for name in MACHINE}
    assert len(keys) == 2 + len(MACHINE)
    assert all("/" not in key and " " not in key for key in keys)
    assert engine_key(DATA, dict(reversed(MACHINE.items()))) == engine_key(DATA, MACHINE)


def test_caches_are_where_the_user_keeps_caches(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/caches")
    assert cache_folder() == Path("/var/caches/headpose")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "headpose"


@pytest.mark.parametrize(("precision", "half"), [("auto", "True"), ("fp32", "False")])
def test_options_of_tensorrt(tmp_path: Path, monkeypatch, precision: str, half: str) -> None:
    monkeypatch.setattr(engine_cache, "_machine", lambda: MACHINE)
    request = Request(DATA, "tensorrt", precision=precision, cache_dir=tmp_path / "engines")
    options = tensorrt_options(request)
    folder = engine_folder(request.cache_dir, DATA)
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(folder)
    assert folder.parent == request.cache_dir
    for path in (folder, folder.parent):
        assert path.stat().st_mode & 0o777 == 0o700
    assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == (half, "False")
    assert options["trt_profile_min_shapes"] == "crops:1x112x112x3"
    assert options["trt_profile_max_shapes"] == "crops:64x112x112x3"


def test_bf16_is_not_asked_of_tensorrt(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(engine_cache, "_machine", lambda: MACHINE)
    with pytest.raises(DeviceError, match="got bf16"):
        tensorrt_options(Request(DATA, "tensorrt", precision="bf16", cache_dir=tmp_path / "e"))


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="this machine has a GPU")
def test_without_a_driver_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="NVIDIA driver"):
        engine_folder(tmp_path / "engines", DATA)
