"""What of each batch is one process's own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """Of process ``rank``, from 0, of ``size``. Shares follow each other in the batch and differ by one sample at most.

    A share of too few samples is filled up with others of the batch, which count for nothing: every process has to take
    part in every step.
    """

    rank: int = 0
    size: int = 1

    def of(self, batch: Tensor, least: int = 1) -> Tensor:
        """The share of ``batch``, (N, ...), filled up to ``least`` samples where the batch has so many."""
        own = torch.tensor_split(batch, self.size)[self.rank]
        if len(own) >= least or len(own) == len(batch):
            return own
        start = self._start(len(batch))
        others = torch.cat([batch[:start], batch[start + len(own) :]])
        return torch.cat([own, others[: least - len(own)]])

    def counted(self, batch: Tensor) -> int:
        """How many samples of ``of(batch)`` count: the first ones."""
        return len(torch.tensor_split(batch, self.size)[self.rank])

    def purpose(self, *purpose: str | int) -> tuple[str | int, ...]:
        """What random numbers are drawn for (see ``seeding``): each process draws its own."""
        return purpose if self.size == 1 else (*purpose, f"{self.rank} of {self.size}")

    def _start(self, count: int) -> int:
        short, longer = divmod(count, self.size)
        return self.rank * short + min(self.rank, longer)


WHOLE = Share()
