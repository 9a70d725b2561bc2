"""Adapting a trained segmentation network to another population, judged on both populations.

The source is a checkpoint of the task ``segmentation``. How its images are normalised, cut and padded, and which of
them validate, is part of it: so the source set is judged on images that it has not been trained on.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpo_trainer import checkpoint
from hpo_trainer.config import SegmentationConfig, TransferSegmentationConfig, parse
from hpo_trainer.data.digest import digest
from hpo_trainer.data.segmentation import Sample, SegmentationData, load
from hpo_trainer.data.splits import NamedSplit
from hpo_trainer.failures import BadConfig, BadData
from hpo_trainer.loop import Learner, Metrics
from hpo_trainer.networks import optimizer, u_net
from hpo_trainer.networks.averaging import judged_weights
from hpo_trainer.networks.network_input import NetworkInput
from hpo_trainer.networks.transfer import adapt
from hpo_trainer.networks.unet import blocks
from hpo_trainer.parallel.share import WHOLE, Share
from hpo_trainer.seeding import derive
from hpo_trainer.tasks.segmentation import SegmentationLearner


@dataclass(frozen=True)
class Source:
    """A trained network: what it was trained with, on which data, and its weights. ``path`` is its file."""

    path: Path
    config: SegmentationConfig
    data: str
    weights: dict[str, Tensor]


class TransferLearner:
    """Trains what the method leaves to be trained, on the target's training images."""

    def __init__(
        self,
        config: TransferSegmentationConfig,
        source: Source,
        data: tuple[SegmentationData, SegmentationData],
        seed: int,
        device: torch.device,
    ) -> None:
        """``data``: of the source and of the target."""
        target = dataclasses.replace(
            source.config,
            batch_size=config.batch_size,
            augmentation=config.augmentation,
            loss=config.loss,
            mirrored_prediction=config.mirrored_prediction,
        )
        own = dataclasses.replace(source.config, mirrored_prediction=config.mirrored_prediction)
        self._config = config
        self._source = SegmentationLearner(own, data[0], seed, device)
        self._target = SegmentationLearner(target, data[1], seed, device)
        torch.manual_seed(derive(seed, "weights"))
        self.model = adapted(source, config, data[1]).to(device)
        self._source.model = self._target.model = self.model
        self.optimizer = optimizer(self.model, config.optimizer, config.learning_rate, weight_decay=config.weight_decay)

    @property
    def data(self) -> SegmentationData:
        """The target's, without its training samples."""
        return self._target.data

    @property
    def sides(self) -> Mapping[str, tuple[str, ...]]:
        """Of the target."""
        return self._target.sides

    def probabilities(self, samples: Sequence[Sample], poll: Callable[[], None]) -> Tensor:
        """(N, classes, *S), on the CPU, of samples of one size."""
        return self._target.probabilities(samples, poll)

    @property
    def network_input(self) -> NetworkInput:
        return self._target.network_input

    @property
    def steps_per_epoch(self) -> int:
        return self._target.steps_per_epoch

    @property
    def metric_names(self) -> tuple[str, ...]:
        return (*self._target.metric_names, *(f"source_{n}" for n in self._source.metric_names), "trained_weights")

    def batches(self, epoch: int, share: Share = WHOLE) -> Iterator[tuple[Tensor, Tensor]]:
        return self._target.batches(epoch, share)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self._target.loss(outputs, targets)

    def learning_rate(self, step: int) -> float:
        return self._config.learning_rate

    def validate(self, poll: Callable[[], None]) -> Metrics:
        source = {f"source_{name}": value for name, value in self._source.validate(poll).items()}
        trained = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        return self._target.validate(poll) | source | {"trained_weights": float(trained)}


def adapted(source: Source, config: TransferSegmentationConfig, target: SegmentationData) -> nn.Module:
    """The source network with its weights, ready for the method. Raises BadConfig and BadData."""
    network = u_net(source.config, target.channels, len(target.classes))
    try:
        network.load_state_dict(source.weights)
    except RuntimeError as error:
        raise BadData(source.path, f"its weights do not fit the target's channels and classes: {error}") from error
    count = len(blocks(network))
    if config.method == "Partial" and config.trained_blocks > count:
        raise BadConfig(
            "HPO_CONFIG.trainedBlocks",
            f"expected at most {count}, the blocks of the source network, found {config.trained_blocks}",
        )
    return adapt(network, source.config, config, target.channels, len(target.classes))


def read_source(path: Path) -> Source:
    """The checkpoint of a segmentation trial. Raises BadConfig if there is none, BadData for any other file."""
    if not path.is_file():
        raise BadConfig(
            "HPO_CONFIG.sourceCheckpoint",
            f"expected the checkpoint.pt of a segmentation trial in the data volume, found no file {path}",
        )
    try:
        state = checkpoint.decode(path)
    except checkpoint.TornError as error:
        raise BadData(path, f"expected the checkpoint.pt of a segmentation trial: {error}") from error
    identity: dict[str, Any] = json.loads(state["identity"])
    task, _ = identity.pop("task"), identity.pop("seed")
    if task != "segmentation":
        raise BadData(path, f"expected a checkpoint of the task segmentation, found one of {task}")
    config = parse("segmentation", identity, {})
    assert isinstance(config, SegmentationConfig)
    return Source(path, config, state["data"], judged_weights(state["model"]))


def read_data(
    config: TransferSegmentationConfig,
    source: Source,
    data_dir: Path,
    poll: Callable[[], None],
    split: NamedSplit | None = None,
) -> tuple[SegmentationData, SegmentationData]:
    """Of the source and of the target, both as the source network reads its images. Raises BadConfig and BadData.

    ``split``: of the target, in place of the one that the configuration names.
    """
    path = data_dir / (config.source_dataset or source.config.dataset)
    if not path.exists():
        raise BadConfig(
            "HPO_CONFIG.sourceDataset", f"expected the source's data set in the data volume, found nothing at {path}"
        )
    reading = dataclasses.replace(source.config, dataset=config.source_dataset or source.config.dataset)
    before = load(data_dir, reading, poll)
    if not config.source_dataset and before.fingerprint != source.data:
        raise BadData(
            path,
            f"not what {source.path} was trained on: its validation images may have been trained on. "
            "Name it in sourceDataset if it is to be used all the same",
        )
    after = load(
        data_dir,
        dataclasses.replace(
            reading,
            dataset=config.dataset,
            split_file=config.split_file,
            split_column=config.split_column,
            validation_fraction=config.validation_fraction,
            fold=config.fold,
        ),
        poll,
        split,
    )
    if after.classes != before.classes:
        raise BadData(
            data_dir / config.dataset,
            f"expected the classes of the source, {', '.join(before.classes)}, found {', '.join(after.classes)}",
        )
    return before, after


def prepare(
    config: TransferSegmentationConfig,
    data_dir: Path,
    seed: int,
    device: torch.device,
    poll: Callable[[], None],
    split: NamedSplit | None = None,
) -> tuple[Learner, str]:
    """The learner, and a fingerprint of both data sets and the source's weights."""
    source = read_source(data_dir / config.source_checkpoint)
    data = read_data(config, source, data_dir, poll, split)
    weights = digest(tuple(source.weights), *source.weights.values())
    fingerprint = digest((data[0].fingerprint, data[1].fingerprint, weights))
    return TransferLearner(config, source, data, seed, device), fingerprint
