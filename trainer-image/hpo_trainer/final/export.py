"""A model without this package: TorchScript that takes images as MONAI reads them.

Scripting keeps whatever depends on an image's size; a network that cannot be scripted is traced, which fixes the size.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpo_trainer.config import LabelledImagesConfig, TemplateDeformationConfig, TransferClassificationConfig
from hpo_trainer.data.appearance import standardised_each
from hpo_trainer.data.patches import pad
from hpo_trainer.data.segmentation import Sample
from hpo_trainer.final.model import ClassifyingLearner, Model, SegmentingLearner
from hpo_trainer.networks.averaging import AveragedNetwork
from hpo_trainer.networks.mirroring import mirrored
from hpo_trainer.networks.network_input import NetworkInput

AGREEMENT = 1e-3
"""How far a probability of the export may lie from the trained network's; further is another network."""


class ExportError(Exception):
    """The network cannot be exported; the message says why, as the end of a sentence."""


class Classifier(nn.Module):
    """Grey images (N, 1, H, W) of any size, in the units in which the data set is read, to logits (N, K)."""

    def __init__(self, network: nn.Module, size: int, mean: float, deviation: float, each: bool) -> None:
        super().__init__()
        self.network, self.size, self.mean, self.deviation, self.each = network, size, mean, deviation, each

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2] != self.size or images.shape[3] != self.size:
            images = functional.interpolate(
                images, [self.size, self.size], mode="bilinear", antialias=True, align_corners=False
            )
        images = (images - self.mean) / self.deviation
        if self.each:
            images = standardised_each(images)
        logits: Tensor = self.network(images)
        return logits


class Segmenter(nn.Module):
    """Normalised images (N, C, *S) to logits (N, K, *S): each is padded by its minimum at its far ends, as in training.

    Images of networks that resample come on the common spacing, and so do the logits.
    ``fixed``: no image may be larger than ``size``.
    """

    def __init__(self, network: nn.Module, size: list[int], step: int, fixed: bool) -> None:
        super().__init__()
        self.network, self.size, self.step, self.fixed = network, size, step, fixed

    def forward(self, images: Tensor) -> Tensor:
        shape = [images.size(axis) for axis in range(2, images.dim())]
        padding: list[int] = []
        for i in range(len(shape)):
            axis = len(shape) - 1 - i
            whole = max(self.size[axis], (shape[axis] + self.step - 1) // self.step * self.step)
            if self.fixed and whole > self.size[axis]:
                raise ValueError("the image is larger than this network takes")
            padding += [0, whole - shape[axis]]
        lowest = images.flatten(1).min(1)[0].reshape([images.shape[0]] + [1] * (len(shape) + 1))
        logits: Tensor = self.network(functional.pad(images - lowest, padding) + lowest)
        for i in range(len(shape)):
            logits = logits.narrow(i + 2, 0, shape[i])
        return logits


class TemplateLogits(nn.Module):
    """The templates' levels as logits beside 0 for the background, as ``TemplateLearner.probabilities`` has them."""

    def __init__(self, network: nn.Module, edge_width: float) -> None:
        super().__init__()
        self.network, self.slope = network, 4 / edge_width

    def forward(self, images: Tensor) -> Tensor:
        levels = self.network(images)[0] * self.slope
        return torch.cat([torch.zeros_like(levels[:, :1]), levels], 1)


class Mean(nn.Module):
    """Several networks, each with its own reading of images, to the logits of their mean probabilities.

    ``least``: what a probability counts as at the least, so that its logarithm is finite.
    """

    def __init__(self, networks: Sequence[nn.Module], least: float = 1e-30) -> None:
        super().__init__()
        self.networks, self.least = nn.ModuleList(networks), least

    def forward(self, images: Tensor) -> Tensor:
        probabilities: list[Tensor] = []
        for network in self.networks:
            probabilities.append(network(images).softmax(1))
        return torch.stack(probabilities).mean(0).clamp(min=self.least).log()


@dataclass(frozen=True)
class Export:
    """``weights``: the state of the network alone; ``fixed``: it takes images up to its size only."""

    module: torch.jit.ScriptModule
    weights: dict[str, Tensor]
    fixed: bool


def export(models: Sequence[Model]) -> Export:
    """One model, or the mean of several. Raises ExportError.

    What is exported is compared with the trained networks on a validation image of the first.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a tracer about constants; what they break, the comparison shows
            parts = [_exported(model, trained_network(model)) for model in models]
            exported = parts[0] if len(parts) == 1 else _joined(parts, models)
    except ExportError:
        raise
    except Exception as error:  # TorchScript raises whatever it meets in others' code
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(f"TorchScript cannot express this network ({type(error).__name__}: {reason})") from error
    distance = _distance(models, exported.module)
    if not distance <= AGREEMENT:
        raise ExportError(f"its TorchScript form gives other probabilities, by up to {distance:.2g}")
    return exported


def trained_network(model: Model) -> nn.Module:
    """A copy on the CPU of the network that is judged: with averaged weights, if they were averaged."""
    network = model.learner.model
    return copy.deepcopy(network.average if isinstance(network, AveragedNetwork) else network).cpu().eval()


def trained_weights(models: Sequence[Model]) -> dict[str, Tensor]:
    """Of one model the state of its network; of several that of each, by names that begin with the trial's."""
    if len(models) == 1:
        return trained_network(models[0]).state_dict()
    states = {model.trial: trained_network(model).state_dict() for model in models}
    return {f"{trial}.{name}": value for trial, state in states.items() for name, value in state.items()}


def save(exported: Export, path: Path) -> None:
    exported.module.save(str(path))


def _joined(parts: Sequence[Export], models: Sequence[Model]) -> Export:
    if not models[0].classifies:
        spacings = {cast(SegmentingLearner, model.learner).network_input.spacing for model in models}
        if len(spacings) > 1:
            raise ExportError(
                "its networks take images of different spacings, each the common one of its training side"
            )
    module = torch.jit.script(Mean([part.module for part in parts]))
    return Export(module, trained_weights(models), any(part.fixed for part in parts))


def _exported(model: Model, network: nn.Module) -> Export:
    weights = network.state_dict()
    if model.classifies:
        config, data = model.config, cast(ClassifyingLearner, model.learner).data
        assert isinstance(config, LabelledImagesConfig)
        each = isinstance(config, TransferClassificationConfig) and config.normalization == "Image"
        example = torch.zeros(1, 1, config.image_size, config.image_size)
        inner, _ = _scripted(network, example)
        wrapped: nn.Module = Classifier(inner, config.image_size, data.mean, data.deviation, each)
        return Export(torch.jit.script(wrapped), weights, fixed=False)
    learner = cast(SegmentingLearner, model.learner)
    given: NetworkInput = learner.network_input
    network = mirrored(network, given.mirrored_axes)
    if isinstance(model.config, TemplateDeformationConfig):
        network = TemplateLogits(network, model.config.edge_width)
    inner, traced = _scripted(network, torch.zeros(1, learner.data.channels, *given.size))
    size = [given.step * 2] * given.axes if given.is_patch else list(given.size)
    return Export(torch.jit.script(Segmenter(inner, size, given.step, traced)), weights, fixed=traced)


def _scripted(network: nn.Module, example: Tensor) -> tuple[nn.Module, bool]:
    """And whether it had to be traced."""
    try:
        return torch.jit.script(network), False
    except Exception:  # see export
        traced: nn.Module = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
        return traced, True


def _distance(models: Sequence[Model], module: nn.Module) -> float:
    """The greatest difference of probabilities on a validation image or patch of the first model."""
    with torch.inference_mode():
        stored = _example(models[0])
        expected = torch.stack([_probabilities(model, stored) for model in models]).mean(0)
        return float((module(stored).softmax(1) - expected).abs().max())


def _example(model: Model) -> Tensor:
    """Images as the export takes them."""
    if model.classifies:
        data = cast(ClassifyingLearner, model.learner).data
        return data.validation.images[:4] * data.deviation + data.mean
    learner = cast(SegmentingLearner, model.learner)
    sample, given = learner.data.validation[0], learner.network_input
    if not given.is_patch:
        return sample.image[None]
    whole, _ = pad(sample, given.size)
    return whole[(slice(None), *(slice(length) for length in given.size))][None]


def _probabilities(model: Model, stored: Tensor) -> Tensor:
    """What the trained network makes of ``stored``, read as in training."""
    if model.classifies:
        classifier = cast(ClassifyingLearner, model.learner)
        images = (stored - classifier.data.mean) / classifier.data.deviation
        return classifier.logits(images, lambda: None).softmax(1)
    learner = cast(SegmentingLearner, model.learner)
    if learner.network_input.is_patch:
        network = mirrored(trained_network(model), learner.network_input.mirrored_axes)
        return cast(Tensor, network(stored)).softmax(1)
    mask = torch.zeros(stored.shape[2:], dtype=torch.uint8)
    return learner.probabilities([Sample(stored[0], mask, case=0)], lambda: None)
