"""Classification with a network that was trained on other images (Borgli et al., Saga, 2018).

In two steps: the new head alone, while the backbone stands still, then all from the delimiting layer on, each with a
learning rate of its own. To leave the source unused, or to use it as it is, are methods like the others: a source that
does harm is then found out by the search.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hpo_trainer import checkpoint
from hpo_trainer.config import TransferClassificationConfig, parse
from hpo_trainer.data.appearance import intensities_changed, mirrored, standardised_each
from hpo_trainer.data.classification import ClassificationData, load
from hpo_trainer.data.digest import digest
from hpo_trainer.data.splits import NamedSplit
from hpo_trainer.failures import BadConfig, BadData
from hpo_trainer.loop import Learner
from hpo_trainer.networks import optimizer
from hpo_trainer.networks.backbones import TransferNetwork
from hpo_trainer.networks.pretrained import Weights, published, read_state, some
from hpo_trainer.parallel.share import WHOLE, Share
from hpo_trainer.seeding import derive
from hpo_trainer.tasks.classifier import Classifier, balanced_weights

SHAPING = ("backbone", "width", "stem")
"""Fields in which a trial and the trial that is its source agree."""


class TransferClassificationLearner(Classifier):
    """Trains what the method leaves to be trained in the epoch; ``network`` has the source's weights already."""

    least_samples = 2  # batch normalisation has nothing to average over one

    def __init__(
        self,
        config: TransferClassificationConfig,
        data: ClassificationData,
        network: TransferNetwork,
        seed: int,
        device: torch.device,
    ) -> None:
        classes = len(data.classes)
        weights = balanced_weights(data.train, classes) if config.class_weights == "Balanced" else torch.ones(classes)
        super().__init__(config, data, weights, seed, device)
        self._config = config
        self.model = self._network = network.to(device)
        self.optimizer = optimizer(
            network, config.optimizer, config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
        )

    @property
    def steps_per_epoch(self) -> int:
        """An image that is left alone joins the batch before: batch normalisation has nothing to average over it."""
        images = len(self._data.train.labels)
        return math.ceil(images / self._batch_size) - (images % self._batch_size == 1)

    def batches(self, epoch: int, share: Share = WHOLE) -> Iterator[tuple[Tensor, Tensor]]:
        self._network.freeze(self._frozen_share(epoch), head=self._config.method == "None")
        return super().batches(epoch, share)

    def learning_rate(self, step: int) -> float:
        first = self._has_steps and step < self._config.head_epochs * self.steps_per_epoch
        return self._config.head_learning_rate if first else self._config.learning_rate

    def logits(self, images: Tensor, poll: Callable[[], None]) -> Tensor:
        return super().logits(standardised_each(images) if self._config.normalization == "Image" else images, poll)

    @property
    def _has_steps(self) -> bool:
        return self._config.method in ("FineTuning", "Head")

    def _frozen_share(self, epoch: int) -> float:
        if self._config.method == "Scratch":
            return 0.0
        whole = self._config.method != "FineTuning" or epoch <= self._config.head_epochs
        return 1.0 if whole else self._config.delimiting_layer

    def _split(self, order: Tensor) -> tuple[Tensor, ...]:
        parts = super()._split(order)
        return parts if len(parts) == self.steps_per_epoch else (*parts[:-2], torch.cat(parts[-2:]))

    def _augmented(self, images: Tensor, augmenting: torch.Generator) -> Tensor:
        images = super()._augmented(images, augmenting)
        if self._config.mirroring:
            images = mirrored(images, augmenting)
        if self._config.normalization == "Image":
            images = standardised_each(images)
        most = self._config.intensity_change
        return intensities_changed(images, most, augmenting) if most > 0 else images


def start(config: TransferClassificationConfig, classes: int, path: Path, seed: int) -> TransferNetwork:
    """The network before its first epoch; ``path``: the source's weights. Raises BadConfig and BadData."""
    torch.manual_seed(derive(seed, "weights"))
    network = TransferNetwork(config, classes)
    if config.method == "Scratch":
        return network
    if not path.is_file():
        raise BadConfig(
            "HPO_CONFIG.weights",
            "expected published weights or the checkpoint.pt of a transferClassification trial in the data volume, "
            f"found no file {path}; or take method Scratch",
        )
    state = read_state(path)
    if "identity" in state:
        _take_trial(config, network, path)
        return network
    if config.method == "None":
        raise BadConfig(
            "HPO_CONFIG.method", f"None needs a head for these classes, and {path} has published weights; take Head"
        )
    weights, rest = published(state, network.backbone, path)
    if rest:
        print(f"hpo: {path}: not used: {some(rest)}", file=sys.stderr, flush=True)
    network.backbone.load_state_dict(weights)
    return network


def _take_trial(config: TransferClassificationConfig, network: TransferNetwork, path: Path) -> None:
    """The backbone of an earlier trial; with method None also its head."""
    try:
        state = checkpoint.decode(path)
    except checkpoint.TornError as error:
        raise BadData(path, f"expected the checkpoint.pt of a transferClassification trial: {error}") from error
    source = _source_config(json.loads(state["identity"]), path)
    for name in SHAPING:
        there, here = getattr(source, name), getattr(config, name)
        if there != here:
            raise BadConfig(f"HPO_CONFIG.{name}", f"expected {there}, which {path} was trained with, found {here}")
    weights: Weights = state["model"]
    outputs, classes = len(weights["head.1.bias"]), len(network.state_dict()["head.1.bias"])
    if config.method != "None":
        own = network.state_dict()
        weights = weights | {name: value for name, value in own.items() if name.startswith("head.")}
    elif outputs != classes:
        raise BadData(path, f"tells {outputs} classes apart, the data set has {classes}; take another method than None")
    network.load_state_dict(weights)


def _source_config(identity: dict[str, Any], path: Path) -> TransferClassificationConfig:
    task, _ = identity.pop("task"), identity.pop("seed")
    if task != "transferClassification":
        raise BadData(path, f"expected a checkpoint of the task transferClassification, found one of {task}")
    config = parse(task, identity, {})
    assert isinstance(config, TransferClassificationConfig)
    return config


def prepare(
    config: TransferClassificationConfig,
    data_dir: Path,
    seed: int,
    device: torch.device,
    poll: Callable[[], None],
    split: NamedSplit | None = None,
) -> tuple[Learner, str]:
    """The learner, and a fingerprint of its data set and of the source's weights, if it has any."""
    data = load(data_dir, config, poll, split)
    network = start(config, len(data.classes), data_dir / config.weights_path, seed)
    fingerprint = data.fingerprint
    if config.method != "Scratch":
        taken = (network if config.method == "None" else network.backbone).state_dict()
        fingerprint = digest((fingerprint, digest(tuple(taken), *taken.values())))
    return TransferClassificationLearner(config, data, network, seed, device), fingerprint
