"""A trial's trained model, taken from its checkpoint and ready to predict."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from hpo_trainer import checkpoint, split_record
from hpo_trainer.config import TaskConfig, VoxelwiseConfig, parse
from hpo_trainer.data.classification import ClassificationData
from hpo_trainer.data.segmentation import Sample, SegmentationData
from hpo_trainer.device import prepare
from hpo_trainer.failures import BadConfig, BadData
from hpo_trainer.final.request import Candidate
from hpo_trainer.loop import Metrics
from hpo_trainer.networks.network_input import NetworkInput
from hpo_trainer.trial import open_learner

Poll = Callable[[], None]


class ClassifyingLearner(Protocol):
    """What the tasks that classify images have beyond training."""

    model: nn.Module

    @property
    def data(self) -> ClassificationData: ...

    def logits(self, images: Tensor, poll: Poll) -> Tensor:
        """(N, C, S, S), as the data set's images were read, to (N, K) on the CPU."""
        ...


class SegmentingLearner(Protocol):
    """What the tasks that segment images have beyond training."""

    model: nn.Module

    @property
    def data(self) -> SegmentationData: ...

    @property
    def network_input(self) -> NetworkInput: ...

    def probabilities(self, samples: Sequence[Sample], poll: Poll) -> Tensor:
        """(N, K, *S) of the samples of one case, on the CPU."""
        ...


@dataclass(frozen=True)
class Model:
    """``epoch``: how long it was trained. ``history``: the metrics of each epoch. ``path``: the checkpoint.

    ``data``: the fingerprint of the data set.
    """

    trial: str
    task: str
    config: TaskConfig
    seed: int
    learner: ClassifyingLearner | SegmentingLearner
    epoch: int
    history: Mapping[int, Metrics]
    data: str
    path: Path

    @property
    def classes(self) -> tuple[str, ...]:
        return self.learner.data.classes

    @property
    def classifies(self) -> bool:
        return isinstance(self.learner.data, ClassificationData)


@dataclass(frozen=True)
class Trained:
    """What a trial's checkpoint tells before any image is read. ``state``: see ``checkpoint``."""

    path: Path
    state: Mapping[str, Any]
    task: str
    config: TaskConfig
    seed: int

    @property
    def epoch(self) -> int:
        return int(self.state["epoch"])


def read_trained(candidate: Candidate) -> Trained:
    """Raises BadData and BadConfig as ``open_model``."""
    path, state = _state(candidate)
    identity: dict[str, Any] = json.loads(state["identity"])
    task, seed = identity.pop("task"), identity.pop("seed")
    config = parse(task, identity, {}, state["epoch"])
    return Trained(path, state, task, _mirroring(config) if candidate.mirrored else config, seed)


def _mirroring(config: TaskConfig) -> TaskConfig:
    """Raises BadConfig where no training mirrored anything."""
    if not isinstance(config, VoxelwiseConfig) or not config.augmentation:
        raise BadConfig(
            "--mirrored-prediction",
            "expected a task segmentation or transferSegmentation whose best trials trained with augmentation, which "
            "mirrors images; leave it out",
        )
    return replace(config, mirrored_prediction=True)


def open_model(candidate: Candidate, data_dir: Path, poll: Poll) -> Model:
    """Raises BadData where the checkpoint or the data set is not what the study measured, BadConfig without a data set.

    The task, the configuration and the seed stand in the checkpoint; the data set is read as the trial read it.
    """
    trained = read_trained(candidate)
    config, state = trained.config, trained.state
    device = prepare(torch.get_num_threads(), config.deterministic)
    learner, data = open_learner(config, data_dir, trained.seed, device, poll, candidate.split)
    if data != state["data"]:
        record = split_record.read(candidate.checkpoint)
        changed = f": {split_record.difference(record.sides, learner.sides)}" if record else ""
        raise BadData(
            data_dir / config.dataset,
            f"has changed since {candidate.trial} was trained{changed}; what validates now may have been trained on. "
            "Restore the data, or run the study anew",
        )
    learner.model.load_state_dict(state["model"])
    learner.model.eval()
    known = cast(ClassifyingLearner | SegmentingLearner, learner)
    return Model(
        candidate.trial,
        trained.task,
        config,
        trained.seed,
        known,
        trained.epoch,
        state["history"],
        data,
        trained.path,
    )


def _state(candidate: Candidate) -> tuple[Path, dict[str, Any]]:
    """The checkpoint at the epoch that was measured: the last or the one before."""
    folder, epochs = candidate.checkpoint, []
    for path in (folder / checkpoint.CURRENT, folder / checkpoint.PREVIOUS):
        if not path.exists():
            continue
        try:
            state = checkpoint.decode(path)
        except checkpoint.TornError as error:
            raise BadData(path, f"{error}; run the study on, so that the trial is trained anew") from error
        if candidate.resource in (0, state["epoch"]):
            return path, state
        epochs.append(state["epoch"])
    if not epochs:
        raise BadConfig(
            "candidates", f"{candidate.trial} has no checkpoint in {folder}; was the volume emptied, or another named?"
        )
    raise BadData(
        folder, f"{candidate.trial} was measured at epoch {candidate.resource}, its checkpoints are of {epochs}"
    )
