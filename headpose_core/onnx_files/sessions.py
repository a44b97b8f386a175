# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: imported here only, on first use; sessions for detector and pose network.

Whatever imports it by itself, as insightface does, is imported after ``import_onnxruntime``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from headpose_core.errors import DeviceError, ModelError

if TYPE_CHECKING:
    from types import ModuleType

    from onnxruntime import InferenceSession, SessionOptions

CPU_PROVIDER = "CPUExecutionProvider"
# Read by ONNX Runtime when it is imported. Without it the machine gets a number, which is kept in
# ~/.cache, and what runs on it is sent to the makers every few seconds.
_DISABLE_TELEMETRY = "ORT_DISABLE_TELEMETRY"


def import_onnxruntime() -> ModuleType:
    """The module ``onnxruntime``, without its telemetry unless the user's environment wants it.

    Raises DeviceError when it is not installed, or when its CPU and its GPU distribution both are:
    they overwrite each other's files, and which device works is then a matter of luck.
    """
    if _is_installed("onnxruntime") and _is_installed("onnxruntime-gpu"):
        raise DeviceError(
            "expected one ONNX Runtime, got onnxruntime and onnxruntime-gpu, which overwrite each "
            "other: pip uninstall both, then install headpose-ehpnet[cpu] or headpose-ehpnet[gpu]"
        )
    os.environ.setdefault(_DISABLE_TELEMETRY, "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise DeviceError(
            f"expected ONNX Runtime to be installed, got '{error}': "
            "pip install 'headpose-ehpnet[cpu]' (or [gpu] with an NVIDIA GPU)"
        ) from error
    module: ModuleType = onnxruntime
    return module


def open_session(
    data: bytes,
    *,
    providers: Sequence[str | tuple[str, dict[str, Any]]] = (CPU_PROVIDER,),
    threads: int = 1,
) -> InferenceSession:
    """A session for the bytes of a model, on execution providers by name or with their options.

    Raises ModelError when ONNX Runtime refuses the model.
    """
    ort, options = import_onnxruntime(), session_options(threads)
    try:
        # Without its own fallback, which tries other providers than those that were asked for.
        return ort.InferenceSession(data, options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # ONNX Runtime has no common base class for its errors
        raise ModelError(f"expected a valid ONNX model, ONNX Runtime says: {error}") from error


def session_options(threads: int) -> SessionOptions:
    """For a session beside other nodes on a small machine. Raises ValueError below one thread."""
    if threads < 1:
        raise ValueError(f"threads: expected at least 1, got {threads}")
    options = import_onnxruntime().SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads burn a core between two images, which others need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Would hold the memory of all layers twice from the second run on, for no time that it saves.
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors only: with_input_size leaves stale declared shapes
    return options


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
