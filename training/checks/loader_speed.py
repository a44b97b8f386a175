# SPDX-License-Identifier: Apache-2.0
"""Whether loading keeps up with the network: `python -m training.checks.loader_speed --data DIR`.

Says how many views one core prepares in a second, what of it goes where, and how many the network
takes in training on this device. Loader and network are timed in turns within one run, so that
their ratio holds on a busy machine, too; the absolute figures hold on a quiet one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
import tyro

from headpose_core.images.crop import CROP_SIZE
from headpose_core.learning.data.augment import AugmentConfig, training_views
from headpose_core.learning.data.datasets import ViewBatches
from headpose_core.learning.data.face_pool import FacePool
from headpose_core.learning.run.distributed import choose_device
from headpose_core.learning.run.losses import HardLossConfig, hard_loss
from headpose_core.learning.run.optimizer import OptimizerConfig, make_optimizer
from headpose_core.pose.networks.network import HeadPoseNet, NetworkConfig


@dataclass(frozen=True)
class SpeedConfig:
    """What to time."""

    data: tuple[str, ...]
    """Data sets as in training: directories of rendered shards, or KIND:ROOT."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch_size: int = 64
    seconds: float = 10.0
    """How long, loader and network together."""
    threads: int = 1
    """CPU threads of the network; the loader is always one core."""
    device: str = "auto"


@dataclass
class Stopwatch:
    """Processor seconds a view, over many turns. process: count the whole process' time."""

    work: Callable[[], int]
    clock: Callable[[], float]
    views: int = 0
    seconds: float = 0.0

    def turn(self) -> None:
        """Do the work once."""
        start = self.clock()
        self.views += self.work()
        self.seconds += self.clock() - start

    @property
    def per_second(self) -> float:
        """Views a second."""
        return self.views / max(self.seconds, 1e-9)


def loading(pool: FacePool, config: SpeedConfig) -> dict[str, Stopwatch]:
    """The whole loader, and its two halves alone, each a batch a turn."""
    indices = np.random.default_rng(0).choice(len(pool), 16 * config.batch_size)
    views = ViewBatches(pool, indices, config.augment, CROP_SIZE, 0, 0)
    kept = [pool[int(index)] for index in indices[: config.batch_size]]
    rng, places = np.random.default_rng(0), np.random.default_rng(1)

    def batch(one: Callable[[int], object]) -> Callable[[], int]:
        def work() -> int:
            for place in places.integers(0, len(indices), config.batch_size):
                one(int(place))
            return config.batch_size

        return work

    def augment(place: int) -> None:
        face = kept[place % len(kept)]
        training_views(face.image, face.box, face.angles_deg, config.augment, CROP_SIZE, rng)

    parts = {
        "loader": views.__getitem__,
        "read": lambda place: pool[int(indices[place])],
        "augment": augment,
    }
    return {name: Stopwatch(batch(one), time.thread_time) for name, one in parts.items()}


def training(config: SpeedConfig, device: torch.device) -> Stopwatch:
    """Steps of training on one batch that stays on the device."""
    network = HeadPoseNet(config.network).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(OptimizerConfig(), network.train())
    shape = (config.batch_size, CROP_SIZE, CROP_SIZE, 3)
    crops = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    labels = torch.zeros(config.batch_size, 3, device=device)

    def step() -> int:
        optimizer.zero_grad(set_to_none=True)
        hard_loss(network(crops), labels, HardLossConfig())["loss"].backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return config.batch_size

    # On one thread its own processor time, which other processes do not lengthen.
    alone = device.type == "cpu" and config.threads == 1
    return Stopwatch(step, time.thread_time if alone else time.perf_counter)


def measure(config: SpeedConfig) -> dict[str, float]:
    """Views a second of the loader on one core, of its halves, and of the network."""
    cv2.setNumThreads(1)
    torch.set_num_threads(config.threads)
    device = choose_device(config.device)
    pool = FacePool(config.data)
    pool.rescan()
    if not len(pool):
        raise FileNotFoundError(f"expected labelled faces in {', '.join(config.data)}, got none")
    watches = {**loading(pool, config), "network": training(config, device)}
    for watch in watches.values():  # the first turn warms up
        watch.work()
    end = time.monotonic() + config.seconds
    while time.monotonic() < end:
        for watch in watches.values():
            watch.turn()
    return {name: watch.per_second for name, watch in watches.items()}


def summary(speed: dict[str, float], config: SpeedConfig) -> str:
    """The figures for a person."""
    ratio = speed["loader"] / speed["network"]
    cores = math.ceil(1 / ratio)
    who = "1 core feeds it" if cores == 1 else f"{cores} cores feed it"
    needs = f"{who} (`--workers {cores}`)"
    if ratio >= 10:
        needs = f"loading costs {1 / (1 + ratio):.0%} of one core's time: `--workers 0` will do"
    where = "GPU" if choose_device(config.device).type == "cuda" else f"{config.threads} thread(s)"
    return (
        f"loader: {speed['loader']:.0f} views/s on one core "
        f"(reading alone {speed['read']:.0f}, augmentation alone {speed['augment']:.0f})\n"
        f"{config.network.backbone} in training on {where}: {speed['network']:.0f} views/s\n"
        f"one core loads {ratio:.1f} times what the network takes; {needs}"
    )


def main() -> None:
    """Command line."""
    config = tyro.cli(SpeedConfig, description=__doc__)
    print(summary(measure(config), config))


if __name__ == "__main__":
    main()
