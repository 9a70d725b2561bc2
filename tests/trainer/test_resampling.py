"""Volumes of several spacings, on one for training and on their own for judgement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from hpo_trainer.config import SegmentationConfig, parse
from hpo_trainer.data.resampling import resample_mask
from hpo_trainer.data.segmentation import SegmentationData, load
from hpo_trainer.failures import BadConfig
from hpo_trainer.tasks.segmentation import SegmentationLearner
from trainer.support import SMALL_U_NET, TrialRunner, segmentation_archive

SPACINGS = [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (4.0, 1.0, 2.0), (1.0, 3.0, 1.0)]
"""Of the four cases; the last one validates."""


@pytest.fixture
def balls(tmp_path: Path) -> Path:
    """A ball of 7 mm on each of the grids, which all cover 24 mm a side."""
    training = []
    for i, spacing in enumerate(SPACINGS):
        shape = [round(24 / step) for step in spacing]
        places = np.meshgrid(
            *[(np.arange(n) + 0.5) * step for n, step in zip(shape, spacing, strict=True)], indexing="ij"
        )
        ball = (sum((place - 12) ** 2 for place in places) < 49).astype(np.float32)
        pair = {"image": f"imagesTr/case_{i}.nii.gz", "label": f"labelsTr/case_{i}.nii.gz"}
        for path in pair.values():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(ball, np.diag([*spacing, 1.0])), tmp_path / path)  # type: ignore[attr-defined, no-untyped-call]
        training.append(pair)
    document = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "ball"}, "training": training}
    (tmp_path / "dataset.json").write_text(json.dumps(document))
    fold = {"train": ["case_0", "case_1", "case_2"], "val": ["case_3"]}
    (tmp_path / "splits_final.json").write_text(json.dumps([fold]))
    return tmp_path


def read(root: Path, **config: Any) -> tuple[SegmentationData, SegmentationConfig]:
    parsed = parse("segmentation", config, {})
    assert isinstance(parsed, SegmentationConfig)
    return load(root, parsed, lambda: None), parsed


@pytest.mark.parametrize(
    ("method", "shape"), [("None", (24, 24, 24)), ("MedianSpacing", (12, 24, 24)), ("MeanSpacing", (10, 24, 18))]
)
def test_images_are_brought_to_the_spacing_of_the_training_side(
    balls: Path, method: str, shape: tuple[int, ...]
) -> None:
    data, _ = read(balls, dimensions="3D", resampling=method)
    assert tuple(data.train[0].image.shape[1:]) == shape
    assert tuple(data.train[0].mask.shape) == (24, 24, 24)  # the mask is that of the file
    [judged] = data.validation
    assert tuple(judged.mask.shape) == (24, 8, 24)
    if method == "MedianSpacing":  # the validation case's 3 mm do not count
        assert {tuple(sample.image.shape[1:]) for sample in (*data.train, judged)} == {shape}


def test_slices_keep_their_number(balls: Path) -> None:
    data, _ = read(balls, resampling="MedianSpacing")
    assert [len([s for s in data.train if s.case == case]) for case in range(3)] == [24, 24, 12]
    assert {tuple(sample.image.shape[1:]) for sample in data.train} == {(12, 24)}


def test_a_resampled_mask_keeps_its_volume_and_comes_back() -> None:
    rows, columns, planes = np.mgrid[:24, :24, :24]
    ball = (((rows - 11.5) ** 2 + (columns - 11.5) ** 2 + (planes - 11.5) ** 2) < 64).astype(np.uint8)
    mask = torch.from_numpy(ball + (rows < 4).astype(np.uint8) * 2)  # label 2 apart from label 1
    coarse = resample_mask(mask, (12, 24, 18))
    assert coarse.dtype == torch.uint8
    for label in (1, 2):
        assert float((coarse == label).sum()) * 2 * 24 / 18 == pytest.approx(float((mask == label).sum()), rel=0.05)
    back = resample_mask(coarse, (24, 24, 24))
    assert float((back == mask).float().mean()) > 0.97


def test_predictions_are_judged_on_the_grid_of_the_file(balls: Path) -> None:
    """A network that shows the image itself is right, but for what two resamplings cost."""
    data, config = read(balls, dimensions="3D", resampling="MedianSpacing", normalization="None", depth=1)
    learner = SegmentationLearner(config, data, 0, torch.device("cpu"))

    class Shows(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.cat([torch.full_like(images, 0.5), images], 1)

    learner.model = Shows()
    [sample] = data.validation
    assert learner.logits([sample], lambda: None).shape == (1, 2, 24, 8, 24)
    assert learner.validate(lambda: None)["dice_ball"] > 0.93


def test_a_trial_on_resampled_volumes(balls: Path, tmp_path: Path) -> None:
    config = SMALL_U_NET | {"dimensions": "3D", "resampling": "MeanSpacing", "batchSize": 2}
    outcome = TrialRunner(tmp_path / "trial", balls, "segmentation", config).run(1)
    assert outcome.code == 0
    assert 0 <= outcome.metrics["dice_ball"] <= 1


def test_archives_have_no_spacing(tmp_path: Path) -> None:
    segmentation_archive(tmp_path / "a.npz")
    with pytest.raises(BadConfig, match=r"HPO_CONFIG\.resampling: expected None, since .*a\.npz tells no spacing"):
        read(tmp_path, dataset="a.npz", resampling="MeanSpacing")
