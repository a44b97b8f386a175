# SPDX-License-Identifier: Apache-2.0
"""What to do about the errors of CUDA and of the libraries around it."""

from __future__ import annotations

import re

# Words of an error and what helps. Numbers are those of cudaError_t.
_REMEDIES = {
    r"out of memory|alloc\w* memory|CUDA failure 2\b|CUBLAS_STATUS_ALLOC_FAILED": (
        "the GPU's memory is full: nvidia-smi shows whose it is"
    ),
    r"driver version is insufficient|driver on your system is too old|CUDA failure 35\b": (
        "the NVIDIA driver is older than this CUDA: update it, or install a build for an older one"
    ),
    r"no CUDA-capable device|No CUDA GPUs|CUDA failure 100\b": (
        "no GPU is visible: nvidia-smi should show one; in a container give --gpus all, and look "
        "at CUDA_VISIBLE_DEVICES"
    ),
    r"no kernel image|CUDA failure 209\b|not compatible with the current PyTorch": (
        "this build has no code for this GPU: install one that names its compute capability"
    ),
    r"cudnn": (
        "cuDNN is missing, or not of the version that this build was made with: pip install "
        "nvidia-cudnn-cu12 (cu13 for CUDA 13)"
    ),
    r"cublas|cudart|cufft|curand|nvrtc": (
        "a CUDA library is missing, or of another version: pip install onnxruntime-gpu[cuda]"
    ),
    r"nvinfer|tensorrt": "TensorRT is missing, or of another version: pip install tensorrt",
    r"CUDA failure 999\b|unknown error|CUDA failure 802\b|CUDA failure 3\b": (
        "the driver is in trouble: reload it or restart the machine, then try nvidia-smi"
    ),
}


def with_remedy(error: object) -> str:
    """The first line of an error that says something, and what helps, if that is known."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    for words, remedy in _REMEDIES.items():
        if re.search(words, str(error), re.IGNORECASE):
            return f"{text} ({remedy})"
    return text
