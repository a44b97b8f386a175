# SPDX-License-Identifier: Apache-2.0
"""One process or many that train together: which device, who leads, what is made equal.

`torchrun` starts the processes and says by environment variables who they are. Each holds the
whole network and sees its share of every batch.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

# The others wait while the leader looks for the faces in a new data set.
PATIENCE = timedelta(hours=12)


def choose_device(name: str) -> torch.device:
    """Device of that name; `auto` is CUDA where there is one, and of many each process's own.

    Raises ValueError for a CUDA device that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        if device.index is None:
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if device.index >= torch.cuda.device_count():
            found = torch.cuda.device_count()
            raise ValueError(f"device: expected one of {found} CUDA devices here, got {device}")
    return device


@dataclass(frozen=True)
class Group:
    """The processes that train together; one alone is a group too."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Group:
        """Join the processes that torchrun started, over NCCL between GPUs and else Gloo."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if not distributed.is_initialized():
            backend = "nccl" if device.type == "cuda" else "gloo"
            distributed.init_process_group(backend, timeout=PATIENCE)
        return cls(distributed.get_rank(), distributed.get_world_size())

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            distributed.barrier()

    @property
    def leads(self) -> bool:
        """Whether this process measures, reports and writes the files."""
        return self.rank == 0

    def from_leader(self, value: Any) -> Any:
        """The leader's value, in every process."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box)
        return box[0]

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the processes."""
        if self.size == 1:
            return values
        distributed.all_reduce(values)
        return values / self.size

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network whose gradients are the mean over the processes."""
        if self.size == 1:
            return network
        # Running statistics are shared by `RunningStatistics`.
        return DistributedDataParallel(network, broadcast_buffers=False)

    def gradient_stays(self, network: nn.Module) -> AbstractContextManager[None]:
        """Gradients of the block are added up in this process and not yet shared."""
        if self.size == 1:
            return nullcontext()
        return cast(DistributedDataParallel, network).no_sync()


def end_process() -> None:
    """End a process that has trained together with others; one that was alone goes on.

    At once: what connects the processes has threads of its own, and one that asks for Python while
    Python ends may be taken down in the middle of C++, which aborts the process with all its work
    done.
    """
    if distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


class RunningStatistics:
    """Running means and variances of normalisations: of an update, the mean over its parts.

    Left alone they would depend on how a batch is divided: over parts that follow each other
    they would move once for each, and every process would have its own.
    """

    def __init__(self, network: nn.Module, group: Group, parts: int) -> None:
        self._group, self._parts = group, parts
        norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        if group.size * parts == 1:
            norms = []
        found = [(m.running_mean, m.running_var, m.num_batches_tracked) for m in norms]
        self._values = [t for mean, var, _ in found for t in (mean, var) if t is not None]
        self._counters = [count for _, _, count in found if count is not None]
        self._start = [t.clone() for t in (*self._values, *self._counters)]
        self._sums = [torch.zeros_like(value) for value in self._values]

    def end_part(self) -> None:
        """Note what a part made of the statistics, and set them back for the next one."""
        if self._values:
            torch._foreach_add_(self._sums, self._values)
            torch._foreach_copy_([*self._values, *self._counters], self._start)

    def end_update(self) -> None:
        """Set the statistics to the mean over the parts of all processes."""
        if self._values:
            flat = torch.cat(self._sums) / self._parts
            mean = torch.split(self._group.mean(flat), [len(value) for value in self._values])
            torch._foreach_copy_(self._values, list(mean))
            torch._foreach_add_(self._counters, 1)
