# SPDX-License-Identifier: Apache-2.0
"""Where the engines that TensorRT builds are kept: a folder that nobody else can write to.

An engine holds code that is executed when it is loaded, and it fits one GPU, one driver, one
TensorRT and one model only.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import stat
from pathlib import Path

from headpose_core.errors import DeviceError
from headpose_core.onnx_files.sessions import import_onnxruntime

_COMPUTE_CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
# TensorRT by soname, the newest first.
_TENSORRT = ("libnvinfer.so.11", "libnvinfer.so.10", "libnvinfer.so.8")


def engine_folder(cache_dir: Path, data: bytes) -> Path:
    """The folder for the engines of this model on this machine; it is made when it is not there.

    Raises DeviceError when it cannot be made, or when somebody else could have put files into it.
    """
    return private_folder(private_folder(cache_dir.expanduser()) / engine_key(data, _machine()))


def engine_key(data: bytes, machine: dict[str, str]) -> str:
    """A file name that changes with the model and with each of ``machine``'s values."""
    parts = [f"{name}-{value}" for name, value in sorted(machine.items())]
    parts.append(f"model-{hashlib.sha256(data).hexdigest()[:16]}")
    return re.sub(r"[^A-Za-z0-9.-]+", "_", "_".join(parts))


def private_folder(path: Path) -> Path:
    """Make a folder of mode 0700, or check one: ours alone, and no link.

    Raises DeviceError that says what is wrong with it and how to mend that.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise DeviceError(
            f"engine_cache_dir: cannot make {path} ({error.strerror}); give a folder that this "
            "user can write to"
        ) from error
    remedy = "engines hold code that is executed: empty it, or give another engine_cache_dir"
    if not stat.S_ISDIR(status.st_mode):
        raise DeviceError(f"engine_cache_dir: expected a folder at {path}, got a link; {remedy}")
    if status.st_uid != os.geteuid():
        raise DeviceError(
            f"engine_cache_dir: expected {path} to belong to user {os.geteuid()}, it belongs to "
            f"user {status.st_uid}; {remedy}"
        )
    if status.st_mode & 0o077:
        raise DeviceError(
            f"engine_cache_dir: expected {path} to be of mode 0700, got "
            f"{stat.S_IMODE(status.st_mode):04o}; {remedy}, then chmod 700 it"
        )
    return path


def _machine() -> dict[str, str]:
    """What an engine depends on beside the model. DeviceError without an NVIDIA driver."""
    return {
        "gpu": _gpu(),
        "tensorrt": _tensorrt_version(),
        "onnxruntime": import_onnxruntime().__version__,
    }


def _gpu() -> str:
    """Name, compute capability and driver of the first GPU, from the driver itself."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise DeviceError(f"expected an NVIDIA driver, got '{error}'") from error
    device, number, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    _check(driver.cuInit(0))
    _check(driver.cuDeviceGet(ctypes.byref(device), 0))
    _check(driver.cuDeviceGetName(name, len(name), device))
    capability = []
    for attribute in _COMPUTE_CAPABILITY:
        _check(driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device))
        capability.append(str(number.value))
    _check(driver.cuDriverGetVersion(ctypes.byref(number)))
    return f"{name.value.decode()}-sm{''.join(capability)}-driver{number.value}"


def _check(status: int) -> None:
    if status:
        raise DeviceError(f"the NVIDIA driver finds no usable GPU (CUDA error {status})")


def _tensorrt_version() -> str:
    for name in _TENSORRT:
        try:
            return str(ctypes.CDLL(name).getInferLibVersion())
        except OSError:  # noqa: PERF203 (another version)
            continue
    raise DeviceError(f"expected TensorRT, found none of {', '.join(_TENSORRT)}: install tensorrt")
