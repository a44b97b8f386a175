# SPDX-License-Identifier: Apache-2.0
"""The torch backend's way on a GPU, as far as that goes without one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("safetensors", reason="needs safetensors")

import torch

from headpose_core.errors import DeviceError
from headpose_core.pose.backends import open_backend
from headpose_core.pose.backends.backend import Request
from headpose_core.pose.backends.torch import POOL, TorchCpu, TorchCuda
from headpose_core.pose.networks.from_file import read_network
from headpose_core.pose.shipped import model_path

LITE = model_path("ehpnet_lite").read_bytes()


class StandIn:
    """A processor in the place of a GPU; counts what is asked of it."""

    name = "cpu"

    def __init__(self) -> None:
        self.pinned_shapes: list[tuple[int, ...]] = []
        self.captures = self.launches = self.waits = 0

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        self.pinned_shapes.append(shape)
        return torch.empty(shape, dtype=dtype)

    def captured(self, run: Callable[[], None]) -> Callable[[], None]:
        self.captures += 1

        def launch() -> None:
            self.launches += 1
            run()

        return launch

    def wait(self) -> None:
        self.waits += 1


class Spy(torch.nn.Module):
    """A network that writes down how cuDNN and autocast are set while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.classifiers = torch.nn.Identity(), torch.nn.Identity()
        self.seen: list[dict[str, object]] = []

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        cudnn = torch.backends.cudnn
        self.seen.append(
            {
                "enabled": cudnn.enabled,
                "benchmark": cudnn.benchmark,
                "allow_tf32": cudnn.allow_tf32,
                "deterministic": cudnn.deterministic,
                "half": torch.is_autocast_enabled("cpu"),
                "inference": torch.is_inference_mode_enabled(),
            }
        )
        return torch.full((len(crops), 3, 62), float(len(self.seen)))


@pytest.mark.parametrize(("precision", "half"), [("fp32", False), ("fp16", True), ("bf16", True)])
def test_cudnn_is_on_and_picks_its_kernels_while_the_network_runs(
    precision: str, half: bool
) -> None:
    spy, before = Spy(), torch.backends.cudnn.enabled
    TorchCuda(spy, precision, StandIn()).infer(np.zeros((2, 112, 112, 3), np.uint8))
    assert spy.seen == [
        {
            "enabled": True,
            "benchmark": True,
            "allow_tf32": False,
            "deterministic": False,
            "half": half,
            "inference": True,
        }
    ]
    assert torch.backends.cudnn.enabled == before
    assert not torch.backends.cudnn.benchmark


def test_batches_use_their_buffers_again_and_agree_with_the_cpu() -> None:
    gpu = StandIn()
    model = TorchCuda(read_network(LITE), "fp32", gpu)
    plain = TorchCpu(read_network(LITE))
    crops = np.random.default_rng(3).integers(0, 256, (9, 112, 112, 3), np.uint8)
    for count in (1, 3, 9, 2, 4, 1, 9):
        flipped = crops[:count, :, ::-1]  # not together in memory
        expected = plain.infer(np.ascontiguousarray(flipped))
        np.testing.assert_allclose(model.infer(flipped), expected, atol=2e-4)
    assert gpu.captures == len({1, 4, 16, 2})
    assert gpu.launches == gpu.waits == 7
    assert gpu.pinned_shapes[:2] == [(1, 112, 112, 3), (1, 3, 62)]
    assert len(gpu.pinned_shapes) == 2 * gpu.captures


def test_what_is_returned_is_not_overwritten_by_the_next_batch() -> None:
    spy = Spy()
    model = TorchCuda(spy, "fp32", StandIn())
    one = np.zeros((1, 112, 112, 3), np.uint8)
    first, second = model.infer(one), model.infer(one)
    assert (first[0, 0, 0], second[0, 0, 0]) == (1.0, 2.0)


def test_one_face_is_prepared_and_large_batches_are_cut() -> None:
    gpu = StandIn()
    model = TorchCuda(Spy(), "fp32", gpu)
    assert gpu.captures == 1
    assert model.infer(np.zeros((POOL[-1] + 3, 112, 112, 3), np.uint8)).shape == (515, 3, 62)
    assert gpu.captures == 3  # 1, 512 and 4
    assert gpu.launches == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_why() -> None:
    why = "finds no CUDA device" if torch.version.cuda else "is built for CPUs only"
    with pytest.raises(DeviceError, match=f"torch .* {why}: nvidia-smi"):
        open_backend("torch", Request(LITE, "cuda"))


def test_an_error_of_cuda_is_a_device_error_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB.\nSee documentation")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("headpose_core.pose.backends.torch.TorchCuda", fail)
    with pytest.raises(DeviceError, match=r"20.00 MiB. \(the GPU's memory is full: nvidia-smi"):
        open_backend("torch", Request(LITE, "cuda"))
