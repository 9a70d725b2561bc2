"""A training loop as MONAI's tutorials write it: CacheDataset, Rand* transforms image by image, DataLoader."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader
from monai.transforms import (
    Compose,
    RandAdjustContrastd,
    RandAffined,
    RandCropByPosNegLabeld,
    RandFlipd,
    RandGaussianNoised,
    SpatialPadd,
)
from monai.utils.misc import set_determinism
from torch import Tensor

from hpo_trainer.data.augmentation import GAMMA, NOISE, Extents
from hpo_trainer.loop import Learner

Record = Mapping[str, Any]
PAIR = ["image", "label"]


class TutorialLoop:
    """The network, loss and optimizer of ``learner`` on the same images, with the same batch size and changes."""

    def __init__(
        self, learner: Learner, records: Sequence[Record], cached: Any, random: Any, batch_size: int, seed: int = 0
    ) -> None:
        set_determinism(seed)
        self.model = copy.deepcopy(learner.model)
        self._loss = learner.loss
        self._optimizer = type(learner.optimizer)(self.model.parameters(), **learner.optimizer.defaults)
        data = CacheDataset(list(records), Compose([*cached, *random]), progress=False)
        self._loader = DataLoader(data, batch_size=batch_size, shuffle=True, num_workers=0)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self._loader:
            yield batch["image"], batch["label"]

    def epoch(self) -> float:
        """The mean loss."""
        self.model.train()
        total, steps = 0.0, 0
        for images, labels in self.batches():
            self._optimizer.zero_grad()
            targets = labels[:, 0].long() if labels.ndim > 1 else labels
            loss = self._loss(self.model(images), targets)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            total += loss.item()
            steps += 1
        return total / steps


def affine(keys: Sequence[str], modes: Sequence[str], size: Sequence[int], shear: bool = True) -> Any:
    """What our defaults draw, for each image."""
    extents = Extents()
    return RandAffined(
        keys,
        prob=1.0,
        rotate_range=[math.radians(extents.rotation)] * (1 if len(size) == 2 else 3),
        shear_range=[extents.shear] * len(size) * (len(size) - 1),
        translate_range=[extents.translation * length / 2 for length in size],
        scale_range=[extents.scaling] * len(size),
        mode=modes,
        padding_mode="border",
    )


def segmentation_transforms(size: Sequence[int], patches: bool) -> tuple[list[Any], list[Any]]:
    """Those that are cached, and the random ones."""
    crop = [RandCropByPosNegLabeld(PAIR, label_key="label", spatial_size=size, pos=1, neg=1, num_samples=1)]
    random = [
        affine(PAIR, ("bilinear", "nearest"), size),
        RandFlipd(PAIR, prob=0.5, spatial_axis=0),
        RandAdjustContrastd("image", prob=1.0, gamma=GAMMA),
    ]
    return [SpatialPadd(PAIR, size)], [*(crop if patches else []), *random]


def classification_transforms(size: Sequence[int]) -> tuple[list[Any], list[Any]]:
    return [], [affine(["image"], ("bilinear",), size), RandGaussianNoised("image", prob=1.0, std=NOISE)]


def segmentation_records(samples: Sequence[Any]) -> list[Record]:
    return [{"image": np.asarray(sample.image), "label": np.asarray(sample.mask)[None]} for sample in samples]


def classification_records(images: Tensor, labels: Tensor) -> list[Record]:
    return [{"image": np.asarray(image), "label": int(label)} for image, label in zip(images, labels, strict=True)]


def consumed(batches: Callable[[], Iterator[tuple[Tensor, Tensor]]]) -> int:
    """How many samples there were."""
    with torch.no_grad():
        return sum(len(images) for images, _ in batches())
