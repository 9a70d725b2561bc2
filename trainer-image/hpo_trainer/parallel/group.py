"""What the processes of a trial do together; a process alone does the same by itself.

The gradient is that of the whole batch, to rounding, as if one process had computed it: each process gathers what the
others predict, and differentiates the loss of all predictions by its own (as nnU-Net does for the Dice coefficient of a
batch). DistributedDataParallel adds the processes' gradients while they are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from hpo_trainer.device import visible_gpus
from hpo_trainer.failures import BadConfig
from hpo_trainer.gradients import Outputs, differentiate, tensors
from hpo_trainer.parallel.share import WHOLE, Share
from hpo_trainer.parallel.worker import Worker
from hpo_trainer.stop import Stop

T = TypeVar("T")
BatchLoss = Callable[[Outputs, Tensor], Tensor]
PATIENCE = timedelta(days=7)
"""How long a process waits for the others, who may be validating. One that is dead ends the trial at once: see
``launcher``."""


class Abandoned(Exception):  # noqa: N818
    """The process that leads has failed, and says why."""


class Group(Protocol):
    """``share``: of this process in each batch. ``leads``: whether it validates, reports and writes checkpoints."""

    @property
    def share(self) -> Share: ...

    @property
    def leads(self) -> bool: ...

    def ready(self, model: nn.Module) -> nn.Module:
        """``model`` as it is trained for one epoch, in which its frozen weights stay the same ones."""
        ...

    def differentiate(
        self, network: nn.Module, loss: BatchLoss, inputs: Tensor, targets: Tensor, most: int
    ) -> tuple[Tensor, int]:
        """Gradients of the whole batch; its loss, detached, and its number of samples.

        ``inputs``, ``targets``: this process's own; inputs beyond the targets count for nothing.
        """
        ...

    def check(self, stop: Stop, where: str) -> None:
        """``stop.check`` of all processes at once: if one was told to stop, all are."""
        ...

    def once(self, work: Callable[[], T]) -> T:
        """What ``work`` gives in the process that leads. If it raises there, the others raise Abandoned."""
        ...


class Alone:
    """A single process."""

    share, leads = WHOLE, True

    def ready(self, model: nn.Module) -> nn.Module:
        return model

    def differentiate(
        self, network: nn.Module, loss: BatchLoss, inputs: Tensor, targets: Tensor, most: int
    ) -> tuple[Tensor, int]:
        return differentiate(network, lambda outputs: loss(outputs, targets), inputs, most), len(inputs)

    def check(self, stop: Stop, where: str) -> None:
        stop.check(where)

    def once(self, work: Callable[[], T]) -> T:
        return work()


ALONE = Alone()


class Several:
    """One of the processes that ``launcher`` has started, after they have found each other."""

    def __init__(self, worker: Worker) -> None:
        self.share = Share(worker.rank, worker.size)

    @property
    def leads(self) -> bool:
        return self.share.rank == 0

    def ready(self, model: nn.Module) -> nn.Module:
        """Anew for each epoch: what is frozen may change between two, and the order of sums begins anew."""
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            return model
        return DistributedDataParallel(model, broadcast_buffers=False)

    def differentiate(
        self, network: nn.Module, loss: BatchLoss, inputs: Tensor, targets: Tensor, most: int
    ) -> tuple[Tensor, int]:
        counts = self._counts(targets)
        everyone = gathered(targets, counts, self.share.rank)

        def of_the_batch(outputs: Outputs) -> Tensor:
            own = [gathered(tensor[: len(targets)], counts, self.share.rank) for tensor in tensors(outputs)]
            whole = own[0] if isinstance(outputs, Tensor) else type(outputs)(*own)
            return loss(whole, everyone) * self.share.size  # since DistributedDataParallel takes the mean

        value = differentiate(network, of_the_batch, inputs, most)
        return value / self.share.size, sum(counts)

    def check(self, stop: Stop, where: str) -> None:
        told = torch.tensor(int(stop.signal is not None))
        dist.all_reduce(told, dist.ReduceOp.MAX)
        if told:
            stop.signal = stop.signal or "SIGTERM"
        stop.check(where)

    def once(self, work: Callable[[], T]) -> T:
        found: list[Any] = [False, None]
        if self.leads:
            try:
                found = [True, work()]
            except Exception:
                dist.broadcast_object_list(found, 0)
                raise
        dist.broadcast_object_list(found, 0)
        if not found[0]:
            raise Abandoned
        value: T = found[1]
        return value

    def _counts(self, targets: Tensor) -> list[int]:
        counts = [torch.zeros(1, dtype=torch.int64) for _ in range(self.share.size)]
        dist.all_gather(counts, torch.tensor([len(targets)]))
        return [int(count) for count in counts]


@contextmanager
def meeting(worker: Worker | None) -> Iterator[Group]:
    """The group of this process, once all have come. Raises BadConfig where there are fewer GPUs than processes."""
    if worker is None:
        yield ALONE
        return
    gpus = visible_gpus()
    if 0 < gpus < worker.size:
        raise BadConfig("HPO_PROCESSES", f"expected at most {gpus}, one for each GPU, found {worker.size}")
    if gpus:
        torch.cuda.set_device(worker.rank)
    backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
    meeting_place = f"file://{worker.meeting_place}"
    dist.init_process_group(backend, meeting_place, PATIENCE, world_size=worker.size, rank=worker.rank)
    yield Several(worker)
    dist.destroy_process_group()


def gathered(own: Tensor, counts: list[int], rank: int) -> Tensor:
    """The shares of all processes, in their order; a graph leads to this process's own only. ``own``: (counts[rank],
    ...)."""
    padded = torch.zeros((max(counts), *own.shape[1:]), dtype=own.dtype, device=own.device)
    padded[: len(own)] = own.detach()
    shares = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(shares, padded)
    return torch.cat([own if i == rank else shares[i][:count] for i, count in enumerate(counts)])
