"""The training loop: epochs of batches, a validation now and then, a checkpoint after each epoch.

Nothing in an epoch depends on how many epochs follow, nor on random numbers drawn before it. So training to 3 and then
to 9 epochs gives the same weights, bit for bit, as training to 9 at once, and a killed run loses one epoch at most.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from hpo_trainer.failures import Diverged
from hpo_trainer.parallel.group import ALONE, Group
from hpo_trainer.parallel.share import WHOLE, Share
from hpo_trainer.seeding import derive
from hpo_trainer.stop import Stop

Metrics = dict[str, float]


class Learner(Protocol):
    """A task, ready to train: what a batch is, what its loss is, and how the model is judged."""

    model: nn.Module
    optimizer: torch.optim.Optimizer

    @property
    def steps_per_epoch(self) -> int: ...

    @property
    def sides(self) -> Mapping[str, tuple[str, ...]]:
        """``train`` and ``validation``: the names of the images on each side of the split."""
        ...

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What ``validate`` returns."""
        ...

    def batches(self, epoch: int, share: Share = WHOLE) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets on the model's device; a function of the seed, ``epoch`` (from 1) and ``share`` alone.

        ``share``: of each batch; inputs beyond the targets fill it up and count for nothing.
        """
        ...

    def loss(self, outputs: Any, targets: Tensor) -> Tensor:
        """``outputs``: what the model made of a batch's inputs."""
        ...

    def learning_rate(self, step: int) -> float:
        """For optimisation step ``step``, counted from 0 over all epochs."""
        ...

    def validate(self, poll: Callable[[], None]) -> Metrics:
        """Metrics of the model in evaluation mode; ``poll`` is called between batches and may raise."""
        ...


@dataclass(frozen=True)
class Progress:
    """Completed epochs, and the metrics of each (validation metrics only of those that were validated)."""

    epoch: int = 0
    history: dict[int, Metrics] = field(default_factory=dict)

    def after(self, metrics: Metrics) -> Progress:
        return Progress(self.epoch + 1, {**self.history, self.epoch + 1: metrics})


@dataclass(frozen=True)
class EpochReport:
    """An epoch that has just been completed. ``seconds`` and ``samples`` are of its training part."""

    epoch: int
    metrics: Metrics
    seconds: float
    samples: int


def train(
    learner: Learner,
    progress: Progress,
    *,
    epochs: int,
    validation_interval: int,
    micro_batch_size: int,
    seed: int,
    stop: Stop,
    save: Callable[[Progress], None],
    observe: Callable[[EpochReport], None],
    group: Group,
) -> Progress:
    """Train on from ``progress`` until ``epochs`` are completed; the last one is always validated.

    ``micro_batch_size``: samples that go through the network at once; 0: a whole batch. ``group``: the processes that
    train; one of them validates, saves and observes.

    Raises Diverged when a loss or metric is NaN or infinite, and Interrupted; the last ``save`` stands in both cases.
    """
    for epoch in range(progress.epoch + 1, epochs + 1):
        kept = f"in epoch {epoch}; the checkpoint of epoch {epoch - 1} stands" if epoch > 1 else "in epoch 1"

        def poll(where: str = kept) -> None:
            stop.check(where)

        def poll_together(where: str = kept) -> None:
            group.check(stop, where)

        started = time.perf_counter()
        metrics, samples = train_epoch(learner, epoch, seed, poll_together, micro_batch_size, group)
        seconds = time.perf_counter() - started
        if epoch % validation_interval == 0 or epoch == epochs:
            metrics |= group.once(partial(validated, learner, poll))
        check_finite(metrics, epoch)
        progress = progress.after(metrics)
        if group.leads:
            save(progress)
            observe(EpochReport(epoch, metrics, seconds, samples))
    return progress


def validated(learner: Learner, poll: Callable[[], None]) -> Metrics:
    learner.model.eval()
    with torch.inference_mode():
        return learner.validate(poll)


def train_epoch(
    learner: Learner,
    epoch: int,
    seed: int,
    poll: Callable[[], None],
    micro_batch_size: int = 0,
    group: Group = ALONE,
) -> tuple[Metrics, int]:
    """One pass over the training samples: the mean loss, and how many samples it was."""
    torch.manual_seed(derive(seed, *group.share.purpose("dropout", epoch)))
    learner.model.train()
    step = (epoch - 1) * learner.steps_per_epoch
    total, samples = torch.zeros((), dtype=torch.float64), 0
    batches = learner.batches(epoch, group.share)  # from here on it is known what this epoch trains
    network = group.ready(learner.model)
    for inputs, targets in batches:
        poll()
        for weights in learner.optimizer.param_groups:
            weights["lr"] = learner.learning_rate(step)
        learner.optimizer.zero_grad(set_to_none=True)
        loss, count = group.differentiate(network, learner.loss, inputs, targets, micro_batch_size)
        learner.optimizer.step()
        total = total.to(loss.device) + loss * count  # no .item(): a GPU need not wait
        samples += count
        step += 1
    return {"loss": float(total) / samples}, samples


def check_finite(metrics: Metrics, epoch: int) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value} in epoch {epoch}")
