"""The pieces of a final model: averages on disk, stray pieces, slices put together again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hpo_trainer.config import SegmentationConfig, TemplateDeformationConfig
from hpo_trainer.data import splits
from hpo_trainer.data.segmentation import Sample, Source, load
from hpo_trainer.failures import BadData
from hpo_trainer.final.average import Average
from hpo_trainer.final.largest import Largest, chosen
from hpo_trainer.final.sides import Case, Cases
from hpo_trainer.tasks import template_deformation
from hpo_trainer.tasks.segmentation import SegmentationLearner
from trainer.final_support import volumes

CLASSES = ("background", "organ", "vessel")


def source(axes: int, cases: list[int]) -> Source:
    nobody = splits.Split(splits.nothing(), splits.nothing())

    def pair(i: int) -> tuple[np.ndarray, np.ndarray]:
        raise AssertionError("nothing is read here")

    names = tuple(f"image{i}" for i in range(len(cases)))
    return Source(Path("set"), CLASSES, np.array(cases), nobody, pair, names, lambda i: (1.0, 1.0, 2.5)[:axes])


def case(mask: np.ndarray, axes: int) -> Case:
    """A single item; of a volume with ``axes`` 3 the slices, if the mask is cut."""
    samples = [Sample(torch.zeros(1, *part.shape), torch.from_numpy(part), 0, 0) for part in mask]
    return Case("case", tuple(samples), source(axes, [0]))


def one_hot(mask: np.ndarray) -> np.ndarray:
    """(N, K, *S) of (N, *S): sure of every voxel."""
    return np.moveaxis(np.eye(len(CLASSES), dtype=np.float32)[mask], -1, 1)


def test_the_average_is_weighted_and_part_by_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    models = [[rng.random((3, 4)).astype(np.float32), rng.random((2, 4)).astype(np.float32)] for _ in range(3)]
    average = Average(tmp_path / "average")
    for parts, weight in zip(models, (3, 1, 2), strict=True):
        average.add(iter(parts), weight)
    for i, part in enumerate(average.parts()):
        expected = (3 * models[0][i] + models[1][i] + 2 * models[2][i]) / 6
        assert np.allclose(part, expected, atol=1e-6)


def test_slices_of_a_volume_are_stacked_again() -> None:
    volume = np.random.default_rng(0).integers(0, 3, (5, 6, 4)).astype(np.uint8)
    cut = case(np.ascontiguousarray(np.moveaxis(volume, -1, 0)), axes=3)
    [item] = cut.items()
    assert np.array_equal(item.mask, volume)
    assert item.image.shape == (1, 5, 6, 4)
    assert item.spacing == (1.0, 1.0, 2.5)
    [mask] = Largest().masks(cut, one_hot(np.moveaxis(volume, -1, 0)))
    assert np.array_equal(mask, volume)


def test_images_of_a_group_stay_apart() -> None:
    masks = np.random.default_rng(0).integers(0, 3, (3, 5, 6)).astype(np.uint8)
    samples = [Sample(torch.zeros(1, 5, 6), torch.from_numpy(mask), 7, i) for i, mask in enumerate(masks)]
    group = Case("group 7", tuple(samples), source(2, [7, 7, 7]))
    assert [item.mask.shape for item in group.items()] == [(5, 6)] * 3
    assert group.item_names() == ["image0", "image1", "image2"]
    assert all(np.array_equal(a, b) for a, b in zip(Largest().masks(group, one_hot(masks)), masks, strict=True))


def test_a_stray_piece_becomes_background() -> None:
    mask = np.zeros((6, 6), dtype=np.uint8)
    mask[:3, :3], mask[5, 5], mask[3, 3], mask[0, 5] = 1, 1, 1, 2
    cleaned = Largest((1,)).applied(mask)
    assert cleaned[5, 5] == 0
    assert cleaned[3, 3] == 1  # touches at a corner
    assert cleaned[0, 5] == 2  # another class
    assert np.array_equal(Largest().applied(mask), mask)
    assert not Largest((1, 2)).applied(np.zeros_like(mask)).any()


def test_only_classes_that_gain_are_cleaned() -> None:
    """The organ is predicted with a stray piece; the vessels truly are two."""
    truth = np.zeros((1, 8, 8), dtype=np.uint8)
    truth[0, 1:4, 1:4], truth[0, 6, 1:3], truth[0, 6, 5:7] = 1, 2, 2
    predicted = truth.copy()
    predicted[0, 0, 7] = 1
    side = Cases((case(truth, axes=2),))
    assert chosen(side, [one_hot(predicted)], CLASSES) == Largest((1,))
    assert chosen(side, [one_hot(truth)], CLASSES) == Largest()


def test_images_that_are_larger_than_all_before(tmp_path: Path) -> None:
    """Padded to a multiple of what the network needs, which no image of the study had to be."""
    data = load(volumes(tmp_path), SegmentationConfig(dimensions="3D", depth=3, channels=4), lambda: None)
    learner = SegmentationLearner(
        SegmentationConfig(dimensions="3D", depth=3, channels=4), data, 0, torch.device("cpu")
    )
    learner.model.eval()
    image = torch.randn(1, 29, 33, 19)
    with torch.inference_mode():
        found = learner.probabilities([Sample(image, torch.zeros(29, 33, 19, dtype=torch.uint8), 0)], lambda: None)
    assert found.shape == (1, 3, 29, 33, 19)
    assert torch.allclose(found.sum(1), torch.ones(1, 29, 33, 19))


def test_a_template_has_no_room_for_a_larger_image(tmp_path: Path) -> None:
    config = TemplateDeformationConfig(depth=2, channels=4)
    learner, _ = template_deformation.prepare(config, volumes(tmp_path), 0, torch.device("cpu"), lambda: None)
    assert isinstance(learner, template_deformation.TemplateLearner)
    large = Sample(torch.randn(1, 29, 24), torch.zeros(29, 24, dtype=torch.uint8), 0)
    with pytest.raises(BadData, match=r"an image of \(29, 24\) voxels is larger than the template's frame, \(20, 24\)"):
        learner.probabilities([large], lambda: None)
