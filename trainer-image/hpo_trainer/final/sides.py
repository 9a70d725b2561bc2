"""The images that models are judged on, and what a model makes of them.

Predictions come in parts, so that no more than one need be in memory: all images of a classification are one part, of
shape (M, K); each case of a segmentation is one, of shape (N, K, *S) for its N slices, images or volumes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from hpo_trainer.data import segmentation
from hpo_trainer.data.classification import LabelledImages
from hpo_trainer.data.digest import digest
from hpo_trainer.data.labelled_source import Source
from hpo_trainer.data.segmentation import Sample
from hpo_trainer.final.model import ClassifyingLearner, Model, Poll, SegmentingLearner

Probabilities = NDArray[np.float32]
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Images:
    """One side of a classification. ``digest``: of the pixels and labels as stored, None where nobody asks."""

    images: LabelledImages
    digest: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return self.images.names

    @property
    def groups(self) -> tuple[str, ...]:
        """The patient of each image; where that is unknown, each is one for itself."""
        known = self.images.groups or ("",) * len(self.names)
        return tuple(group or name for group, name in zip(known, self.names, strict=True))

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.images.labels.numpy()


@dataclass(frozen=True)
class Item:
    """An image or a volume with its mask as stored, ``spacing`` in mm; ``image``: (C, *R), as the network is shown it.

    ``R`` is the mask's grid, but for networks that resample.
    """

    image: NDArray[np.float32]
    mask: Mask
    spacing: tuple[float, ...]


@dataclass(frozen=True)
class Case:
    """A volume, or a group of images. ``samples``: as the network takes them, perhaps slices of volumes."""

    name: str
    samples: tuple[Sample, ...]
    source: segmentation.Source

    def assembled(self, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """(N, K, *S) of the samples to (K, *T) of each item: slices are stacked along the last axis again."""
        whole = []
        for rows in self._rows():
            sliced = len(self.source.spacing(self.samples[rows[0]].item)) > values.ndim - 2
            whole.append(np.moveaxis(values[rows], 0, -1) if sliced else values[rows[0]])
        return whole

    def item_names(self) -> list[str]:
        return [self.source.names[self.samples[rows[0]].item] for rows in self._rows()]

    def items(self) -> list[Item]:
        items = []
        images = self.assembled(np.stack([sample.image.numpy() for sample in self.samples]))
        masks = self.assembled(np.stack([sample.mask.numpy()[None] for sample in self.samples]))
        for rows, image, mask in zip(self._rows(), images, masks, strict=True):
            items.append(Item(image, mask[0].astype(np.uint8), self.source.spacing(self.samples[rows[0]].item)))
        return items

    def _rows(self) -> list[list[int]]:
        """The samples of each item."""
        rows: dict[int, list[int]] = {}
        for row, sample in enumerate(self.samples):
            rows.setdefault(sample.item, []).append(row)
        return list(rows.values())


@dataclass(frozen=True)
class Cases:
    """One side of a segmentation."""

    cases: tuple[Case, ...]
    digest: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(case.name for case in self.cases)


Side = Images | Cases


def validation_side(model: Model) -> Side:
    if model.classifies:
        return Images(cast(ClassifyingLearner, model.learner).data.validation)
    data = cast(SegmentingLearner, model.learner).data
    return _cases(data.source, data.validation)


def test_side(model: Model, poll: Poll, with_digest: bool = True) -> Side | None:
    """Read now, as the model's own images were read; None where the data set has no test side."""
    if model.classifies:
        found = cast(ClassifyingLearner, model.learner).data.test(poll)
        return None if found is None else Images(found[1], _digest_of_images(found[0]) if with_digest else None)
    data = cast(SegmentingLearner, model.learner).data.test(poll)
    return None if data is None else _cases(*data, _digest_of_cases(data[0]) if with_digest else None)


def shared_patients(model: Model, side: Side) -> tuple[str, ...]:
    """Patients of ``side`` who are also among those that the model trained or validated on, where they are known."""
    if not isinstance(side, Images):
        return ()
    data = cast(ClassifyingLearner, model.learner).data
    return tuple(sorted({*side.images.groups} & {*data.train.groups, *data.validation.groups} - {""}))


def predict(model: Model, side: Side, poll: Poll) -> Iterator[Probabilities]:
    """Part after part."""
    with torch.inference_mode():
        if isinstance(side, Images):
            logits = cast(ClassifyingLearner, model.learner).logits(side.images.images, poll)
            yield logits.double().softmax(1).numpy().astype(np.float32)
            return
        for case in side.cases:
            yield cast(SegmentingLearner, model.learner).probabilities(case.samples, poll).float().numpy()


def _cases(source: segmentation.Source, samples: tuple[Sample, ...], digest: str | None = None) -> Cases:
    of: dict[int, list[Sample]] = {}
    for sample in samples:
        of.setdefault(sample.case, []).append(sample)
    return Cases(tuple(Case(source.case_name(case), tuple(held), source) for case, held in of.items()), digest)


def _digest_of_images(source: Source) -> str:
    """Of pixels and labels before any network's own way of reading them, so that it is the data set's alone."""
    return digest(source.labels[source.test], *(torch.from_numpy(source.image(int(i))) for i in source.test))


def _digest_of_cases(source: segmentation.Source) -> str:
    pairs = (source.pair(int(i)) for i in source.test)
    return digest(*(torch.from_numpy(array) for pair in pairs for array in pair))
