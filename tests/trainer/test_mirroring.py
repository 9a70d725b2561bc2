"""Predictions averaged over mirror images: equal to averaging by hand, in validation and in the final model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hpo_trainer.config import SegmentationConfig, TransferSegmentationConfig
from hpo_trainer.data.segmentation import Sample
from hpo_trainer.final import sides
from hpo_trainer.final.model import open_model
from hpo_trainer.tasks import segmentation, transfer_segmentation
from hpo_trainer.tasks.segmentation import SegmentationLearner
from trainer.final_support import Finished, finished
from trainer.support import segmentation_archive, source_config

CPU = torch.device("cpu")
FLIPS: dict[tuple[int, ...], list[list[int]]] = {(0,): [[], [1]], (0, 1): [[], [1], [2], [1, 2]], (): [[]]}
"""Of the axes that are mirrored, the combinations of an image's (C, *S) axes."""


def learner_of(volume: Path, config: SegmentationConfig) -> SegmentationLearner:
    learner, _ = segmentation.prepare(config, volume, 0, CPU, lambda: None)
    assert isinstance(learner, SegmentationLearner)
    learner.model.eval()
    return learner


def by_hand(plain: SegmentationLearner, sample: Sample, flips: list[list[int]]) -> Tensor:
    """The mean of the logits of mirrored images, each mirrored back; (1, K, *S)."""
    logits = []
    for axes in flips:
        mirrored = replace(
            sample, image=torch.flip(sample.image, axes), mask=torch.flip(sample.mask, [a - 1 for a in axes])
        )
        logits.append(torch.flip(plain.logits([mirrored], lambda: None), [a + 1 for a in axes]))
    return torch.stack(logits).mean(0)


@pytest.mark.parametrize("axes", FLIPS)
@pytest.mark.parametrize("patch", [(), (16, 24)])
def test_equal_to_averaging_by_hand(tmp_path: Path, axes: tuple[int, ...], patch: tuple[int, ...]) -> None:
    """Images of 20 x 24 that need no padding, in one window along each axis that is mirrored, or in two."""
    segmentation_archive(tmp_path / "discs.npz")
    config = source_config(dataset="discs.npz", augmentation=True, mirror_axes=axes, patch_size=patch)
    plain = learner_of(tmp_path, config)
    mirrored = learner_of(tmp_path, replace(config, mirrored_prediction=True))
    sample = plain.data.validation[0]
    with torch.inference_mode():
        expected = by_hand(plain, sample, FLIPS[axes])
        assert torch.allclose(mirrored.logits([sample], lambda: None), expected, atol=1e-5)
        assert torch.equal(plain.logits([sample], lambda: None), by_hand(plain, sample, [[]]))
        changed = not torch.allclose(expected, plain.logits([sample], lambda: None), atol=1e-3)
        assert (mirrored.validate(lambda: None) == plain.validate(lambda: None)) == (not axes)
    assert changed == bool(axes)


def test_without_augmentation_nothing_was_mirrored(tmp_path: Path) -> None:
    assert SegmentationConfig(mirrored_prediction=True).mirrored_axes == ()
    assert SegmentationConfig(mirrored_prediction=True, augmentation=True, mirror_axes=(1,)).mirrored_axes == (1,)
    assert SegmentationConfig(augmentation=True, mirror_axes=(1,)).mirrored_axes == ()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    fields: dict[str, Any] = {"dimensions": "3D", "augmentation": True, "mirrorAxes": [0, 1]}
    return finished(tmp_path_factory.mktemp("segmentation"), "segmentation", fields, trials=1)


def test_the_final_model_predicts_so(study: Finished) -> None:
    """What is stored, judged and exported; the study itself did not mirror."""
    [candidate] = study.request().candidates
    model = open_model(candidate, study.data, lambda: None)
    expected = []
    with torch.inference_mode():
        for case in sides.validation_side(model).cases:  # type: ignore[union-attr]
            plain: Any = model.learner
            expected.append(by_hand(plain, case.samples[0], FLIPS[0, 1]).softmax(1).numpy())
    study.mirrored = True
    try:
        assert study.predict() == 0
        stored = study.stored("tiny-0")
        assert study.build({"tiny-0": 1}, looks=False) == 0
    finally:
        study.mirrored = False
    for found, mean in zip(stored, expected, strict=True):
        rows = np.moveaxis(mean, 1, -1).reshape(-1, mean.shape[1])
        assert np.abs(found / 255 - rows).max() < 0.003  # stored in 255ths
    assert "| mirroredPrediction | True |" in study.card()
    with pytest.deprecated_call():
        module = torch.jit.load(str(study.out / "models/model.ts"))
    image = sides.validation_side(model).cases[0].samples[0].image  # type: ignore[union-attr]
    with torch.inference_mode():
        assert np.allclose(module(image[None]).softmax(1).numpy(), expected[0], atol=1e-4)


def test_a_study_that_mirrored_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = finished(tmp_path, "segmentation", trials=1)
    plain.mirrored = True
    assert plain.predict() == 78
    assert "--mirrored-prediction: expected a task segmentation or transferSegmentation" in capsys.readouterr().err


def test_an_adapted_network_mirrors_what_its_own_training_does(study: Finished, tmp_path: Path) -> None:
    source = study.runners["tiny-0"].checkpoints / "checkpoint.pt"
    (study.data / "source.pt").write_bytes(source.read_bytes())
    for augmentation, axes in ((True, (0, 1)), (False, ())):
        config = TransferSegmentationConfig(
            source_checkpoint="source.pt", method="Full", mirrored_prediction=True, augmentation=augmentation
        )
        learner: Any
        learner, _ = transfer_segmentation.prepare(config, study.data, 0, CPU, lambda: None)
        assert learner.network_input.mirrored_axes == axes
        for name in ("DiceTopK", "DiceHausdorff"):
            other = replace(config, loss=name)
            learner, _ = transfer_segmentation.prepare(other, study.data, 0, CPU, lambda: None)
            inputs, targets = next(learner.batches(1))
            assert torch.isfinite(learner.loss(learner.model(inputs), targets))
