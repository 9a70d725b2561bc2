"""The test side of a data set: what it is, that it is read as the other sides are, and that it is none of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from hpo_trainer.config import ClassificationConfig, SegmentationConfig
from hpo_trainer.data import classification, segmentation
from trainer.support import decathlon_folder, discs, image_folder, save_volume, segmentation_archive


def poll() -> None:
    pass


def split_folder(root: Path) -> Path:
    """Three classes of twelve images; of each the last three are for the test, patients of two images each."""
    image_folder(root)
    rows = ["class,file,patient,split"]
    for label in range(3):
        for i in range(12):
            side = "train" if i < 6 else "val" if i < 9 else "test"
            rows.append(f"class{label},{i:03}.png,p{label}-{i // 2},{side}")
    (root / "splits.csv").write_text("\n".join(rows) + "\n")
    return root


def test_rows_of_a_split_file(tmp_path: Path) -> None:
    split_folder(tmp_path)
    data = classification.load(tmp_path, ClassificationConfig(split_file="splits.csv", image_size=16), poll)
    found = data.test(poll)
    assert found is not None
    test = found[1]
    assert test.names == tuple(f"class{label}/{i:03}.png" for label in range(3) for i in (9, 10, 11))
    assert test.groups[:3] == ("p0-4", "p0-5", "p0-5")
    assert test.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert not {*test.names} & {*data.train.names, *data.validation.names}
    # Standardised by the training images: the same transformation leads back to the pixels.
    pixels = classification.find(tmp_path, ClassificationConfig(split_file="splits.csv", image_size=16)).image
    first, last = torch.from_numpy(pixels(9)), torch.from_numpy(pixels(35))
    slope = (test.images[0, 0] - test.images[8, 0]) / (first - last)
    train = torch.stack([torch.from_numpy(pixels(i)) for label in range(3) for i in range(12 * label, 12 * label + 6)])
    assert torch.allclose(slope[first != last], 1 / train.std(correction=0), rtol=1e-3)


def test_a_folder_without_a_split_file_has_none(tmp_path: Path) -> None:
    data = classification.load(image_folder(tmp_path), ClassificationConfig(image_size=16), poll)
    assert data.test(poll) is None


def test_arrays_of_an_archive(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for side, count in (("train", 8), ("val", 4), ("test", 6)):
        arrays[f"{side}_images"] = rng.integers(0, 255, (count, 16, 16), dtype=np.uint8)
        arrays[f"{side}_labels"] = np.arange(count)[:, None] % 2
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)
    data = classification.load(tmp_path, ClassificationConfig(dataset="set.npz", image_size=16), poll)
    found = data.test(poll)
    assert found is not None
    test = found[1]
    assert test.names == tuple(f"test_images[{i}]" for i in range(6))
    assert test.labels.tolist() == [0, 1] * 3
    pixels = arrays["train_images"] / 255.0
    assert np.allclose(test.images[:, 0], (arrays["test_images"] / 255.0 - pixels.mean()) / pixels.std(), atol=1e-5)


def test_masks_of_an_archive(tmp_path: Path) -> None:
    path = segmentation_archive(tmp_path / "set.npz")
    config = SegmentationConfig(dataset="set.npz")
    assert segmentation.load(tmp_path, config, poll).test(poll) is None
    images, masks = discs(3)
    with np.load(path) as archive:
        arrays = dict(archive)
    side = {"test_images": images, "test_masks": masks, "test_groups": np.array([7, -1, 7])}
    np.savez(path, **arrays, **side)
    found = segmentation.load(tmp_path, config, poll).test(poll)
    assert found is not None
    source, samples = found
    assert [sample.item for sample in samples] == [0, 2]
    assert {source.case_name(sample.case) for sample in samples} == {"group 7"}
    assert np.array_equal(samples[1].mask.numpy(), masks[2])
    assert abs(float(samples[0].image.mean())) < 1e-6  # normalised, as those of the other sides are


def test_cases_of_no_fold(tmp_path: Path) -> None:
    decathlon_folder(tmp_path, cases=5)
    folds = [{"train": ["case_0", "case_1"], "val": ["case_2"]}, {"train": ["case_2", "case_1"], "val": ["case_0"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    data = segmentation.load(tmp_path, SegmentationConfig(dimensions="3D"), poll)
    found = data.test(poll)
    assert found is not None
    source, samples = found
    assert [source.case_name(sample.case) for sample in samples] == ["case_3", "case_4"]
    assert source.spacing(samples[0].item) == (1.0, 1.0, 1.0)
    slices = segmentation.load(tmp_path, SegmentationConfig(dimensions="2D"), poll).test(poll)
    assert slices is not None
    assert [sample.item for sample in slices[1]] == [3] * 9 + [4] * 10  # the depths of these volumes


def test_labelled_pairs_under_test(tmp_path: Path) -> None:
    decathlon_folder(tmp_path)
    config = SegmentationConfig(dimensions="3D")
    assert segmentation.load(tmp_path, config, poll).test(poll) is None  # images without labels
    images, masks = discs(1)
    document = json.loads((tmp_path / "dataset.json").read_text())
    for folder, voxels in (("imagesTs", images[0]), ("labelsTs", masks[0])):
        (tmp_path / folder).mkdir()
        save_volume(tmp_path / folder / "late.nii.gz", np.repeat(voxels[:, :, None], 5, axis=2))
    document["test"] = [{"image": "imagesTs/late.nii.gz", "label": "labelsTs/late.nii.gz"}]
    (tmp_path / "dataset.json").write_text(json.dumps(document))
    found = segmentation.load(tmp_path, config, poll).test(poll)
    assert found is not None
    assert [found[0].case_name(sample.case) for sample in found[1]] == ["late"]
