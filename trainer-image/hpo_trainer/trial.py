"""One run of a trial, from its settings to its measurement."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch

from hpo_trainer import split_record
from hpo_trainer.checkpoint import Checkpoints, Owner
from hpo_trainer.config import TaskConfig, identity
from hpo_trainer.data.splits import NamedSplit
from hpo_trainer.device import gpu_memory_peak_bytes, prepare
from hpo_trainer.environment import Settings, check_objective
from hpo_trainer.failures import BadConfig
from hpo_trainer.loop import EpochReport, Learner, Metrics, Progress, train
from hpo_trainer.networks import parameter_count
from hpo_trainer.parallel.group import Group, meeting
from hpo_trainer.parallel.worker import Worker
from hpo_trainer.stop import Stop
from hpo_trainer.telemetry import Telemetry


@dataclass(frozen=True)
class Result:
    """What the run measured after ``epochs`` completed epochs in total. ``peak_memory_bytes`` is the GPU's, if any."""

    metrics: Metrics
    epochs: int
    peak_memory_bytes: int | None


def run(settings: Settings, stop: Stop, split: NamedSplit | None = None, worker: Worker | None = None) -> Result:
    """Train the trial to ``settings.config.epochs``, from its checkpoint if it has one.

    ``split``: who trains and validates, in place of what the configuration says. ``worker``: which of several processes
    this is; None if it trains alone.

    A rung that the checkpoint has already reached is not trained again: its measurement is in the history.
    """
    device = prepare(settings.threads, settings.config.deterministic, worker.size if worker else 1)
    with meeting(worker) as group:
        return _run(settings, stop, split, device, group)


def _run(settings: Settings, stop: Stop, split: NamedSplit | None, device: torch.device, group: Group) -> Result:
    telemetry = Telemetry(settings.trial)
    if settings.metrics_address is not None and group.leads:
        telemetry.serve(*settings.metrics_address)
    log = _log if group.leads else _nothing

    def poll() -> None:
        stop.check("while reading the data set")

    learner, data = open_learner(settings.config, settings.data_dir, settings.seed, device, poll, split)
    check_objective(settings.objective, (*learner.metric_names, "loss"))
    several = f"{group.share.size} processes, " if group.share.size > 1 else ""
    threads = f"{several}{torch.get_num_threads()} threads"
    log(f"{settings.task} on {device}, {threads}, {parameter_count(learner.model)} weights")
    owner = Owner(identity(settings.task, settings.config, settings.seed), data)
    store = Checkpoints(settings.checkpoint_dir, owner, log) if settings.checkpoint_dir is not None else None
    if settings.checkpoint_dir is not None and group.leads:
        split_record.write(settings.checkpoint_dir, data, learner.sides)
    progress = restored(store, learner, group) if store is not None else Progress()
    if progress.epoch:
        log(f"resumed after epoch {progress.epoch}")
        telemetry.resumed(progress.epoch, progress.history[progress.epoch])
    progress = train(
        learner,
        progress,
        epochs=settings.config.epochs,
        validation_interval=settings.config.validation_interval,
        micro_batch_size=settings.config.micro_batch_size,
        seed=settings.seed,
        stop=stop,
        save=lambda p: store.save(learner, p) if store is not None else None,
        observe=lambda report: _observe(report, telemetry),
        group=group,
    )
    return Result(_measured(progress, settings, learner), settings.config.epochs, gpu_memory_peak_bytes())


def restored(store: Checkpoints, learner: Learner, group: Group) -> Progress:
    """Of the newest usable checkpoint. The process that leads puts away what is not usable, before the others look."""

    def first() -> Progress:
        store.claim()
        return store.restore(learner)

    progress = group.once(first)
    return progress if group.leads else store.restore(learner)


def open_learner(
    config: TaskConfig,
    data_dir: Path,
    seed: int,
    device: torch.device,
    poll: Callable[[], None],
    split: NamedSplit | None = None,
) -> tuple[Learner, str]:
    """The task's learner before its first epoch, and the fingerprint of its data; ``poll`` is called while reading.

    A task's configuration and its learner are modules of one name, in ``config`` and in ``tasks``. Only the one that is
    asked for is imported: most bring MONAI, which takes a second.
    """
    name = type(config).__module__.rpartition(".")[2]
    prepared: tuple[Learner, str] = import_module(f"hpo_trainer.tasks.{name}").prepare(
        config, data_dir, seed, device, poll, split
    )
    return prepared


def _measured(progress: Progress, settings: Settings, learner: Learner) -> Metrics:
    """The metrics of the epoch asked for, which a checkpoint of a later one may have to provide."""
    epochs = settings.config.epochs
    metrics = progress.history.get(epochs, {})
    if not set(learner.metric_names) <= set(metrics):
        validated = [e for e, m in progress.history.items() if set(learner.metric_names) <= set(m)]
        raise BadConfig(
            "HPO_RESOURCE",
            f"the checkpoint has completed {progress.epoch} epochs and was not validated at {epochs}, "
            f"only at {', '.join(map(str, validated))}; empty {settings.checkpoint_dir} to train anew",
        )
    return {**metrics, "epoch": float(epochs)}


def _observe(report: EpochReport, telemetry: Telemetry) -> None:
    telemetry.observe(report)
    values = "  ".join(f"{name}={value:.5g}" for name, value in report.metrics.items())
    _log(f"epoch {report.epoch}: {values}  ({report.seconds:.2f} s, {report.samples / report.seconds:.0f} samples/s)")


def _nothing(text: str) -> None:
    """The log of a process that does not lead."""


def _log(text: str) -> None:
    print(f"hpo: {text}", file=sys.stderr, flush=True)
