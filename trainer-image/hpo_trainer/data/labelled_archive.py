"""Labelled images in .npz files: MedMNIST's arrays for each side, or images with groups; see docs/data-formats.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hpo_trainer.config import LabelledImagesConfig
from hpo_trainer.data import archive_split, splits
from hpo_trainer.data.files import Array, Image, finite, read_arrays
from hpo_trainer.data.labelled_source import Labels, Source
from hpo_trainer.failures import BadData


def find(path: Path, config: LabelledImagesConfig) -> Source:
    arrays = read_arrays(path)
    if "train_images" in arrays:
        for name in ("train_labels", "val_images", "val_labels"):
            if name not in arrays:
                raise BadData(path, f"expected an array {name} beside train_images")
        images = [_grey(arrays[f"{side}_images"], f"{path}[{side}_images]") for side in ("train", "val")]
        parts = [
            _labels(arrays[f"{s}_labels"], len(i), f"{path}[{s}_labels]")
            for s, i in zip(("train", "val"), images, strict=True)
        ]
        count, labels = len(images[0]), np.concatenate(parts)
        split = splits.Split(np.arange(count), np.arange(count, len(labels)))
        return Source(
            path,
            labels,
            _classes(arrays, labels, path),
            split,
            lambda i: _unit(images[0][i] if i < count else images[1][i - count], f"{path}: image {i}"),
            tuple(
                f"{side}_images[{i}]" for side, of in zip(("train", "val"), images, strict=True) for i in range(len(of))
            ),
        )
    for name in ("images", "labels", "groups"):
        if name not in arrays:
            found = ", ".join(sorted(arrays))
            raise BadData(path, f"expected arrays images, labels, groups or train_images, ...; no {name} among {found}")
    grey = _grey(arrays["images"], f"{path}[images]")
    labels = _labels(arrays["labels"], len(grey), f"{path}[labels]")
    groups = _labels(arrays["groups"], len(grey), f"{path}[groups]", lowest=splits.LEFT_OUT)
    split, test = splits.by_groups(groups, labels, config.validation_fraction), splits.nothing()
    if config.split_file:
        split, test = archive_split.read(path, config, len(labels))
    patients = tuple("" if group == splits.LEFT_OUT else str(group) for group in groups)
    classes, names = _classes(arrays, labels, path), tuple(f"images[{i}]" for i in range(len(grey)))
    rest = "test" if config.split_file else "left out"
    return Source(
        path,
        labels,
        classes,
        split,
        lambda i: _unit(grey[i], f"{path}: image {i}"),
        names,
        groups=patients,
        rest=rest,
        test=test,
    )


def find_test(path: Path) -> tuple[Labels, Callable[[int], Image]]:
    """The labels of an archive's test images, and the images; never for a trial."""
    arrays = read_arrays(path, test=True)
    if not {"test_images", "test_labels"} <= set(arrays):
        return np.zeros(0, dtype=np.int64), lambda i: np.zeros((0, 0), dtype=np.float32)
    grey = _grey(arrays["test_images"], f"{path}[test_images]")
    labels = _labels(arrays["test_labels"], len(grey), f"{path}[test_labels]")
    return labels, lambda i: _unit(grey[i], f"{path}: test image {i}")


def find_unseen(source: Source) -> Source | None:
    """The test arrays of an archive, where there are any, as a source of their own."""
    labels, image = (
        find_test(source.path) if source.path.suffix == ".npz" else (np.zeros(0, dtype=np.int64), source.image)
    )
    if not labels.size:
        return None
    names = tuple(f"test_images[{i}]" for i in range(len(labels)))
    nobody = splits.Split(splits.nothing(), splits.nothing())
    return Source(source.path, labels, source.classes, nobody, image, names, test=np.arange(len(labels)))


def _grey(images: Array, source: str) -> Array:
    """(N, H, W) of (N, H, W), (N, H, W, 1) or (N, H, W, 3), whose colours become their luma (ITU-R 601), rounded."""
    if images.ndim == 4 and images.shape[3] == 1:
        return images[..., 0]
    if images.ndim == 4 and images.shape[3] == 3:
        luma = images.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        return luma.round().astype(images.dtype) if images.dtype.kind in "iu" else luma
    if images.ndim != 3 or 0 in images.shape:
        raise BadData(source, f"expected shape (N, H, W) or (N, H, W, 3), found {images.shape}")
    return images


def _unit(image: Array, source: str) -> Image:
    """Integers of 8 and 16 bits over their type's maximum, wider ones and floats as they are."""
    scale = np.iinfo(image.dtype).max if image.dtype.kind in "iu" and image.dtype.itemsize <= 2 else 1
    return finite(image, source) / np.float32(scale)


def _labels(values: Array, count: int, source: str, lowest: int = 0) -> Labels:
    """(N,) of (N,) or (N, 1)."""
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.ndim != 1 or flat.dtype.kind not in "iu":
        raise BadData(source, f"expected integers of shape (N,) or (N, 1), found {values.dtype} {values.shape}")
    if len(flat) != count:
        raise BadData(source, f"expected {count}, one for each image, found {len(flat)}")
    if count and flat.min() < lowest:
        raise BadData(source, f"expected at least {lowest}, found {flat.min()}")
    return np.asarray(flat, dtype=np.int64)


def _classes(arrays: dict[str, Array], labels: Labels, path: Path) -> tuple[str, ...]:
    """Names from the array ``classes``, or the numbers 0 to the greatest label."""
    if "classes" not in arrays:
        return tuple(str(i) for i in range(int(labels.max(initial=-1)) + 1))
    names = tuple(str(name) for name in arrays["classes"])
    if labels.size and labels.max() >= len(names):
        raise BadData(
            f"{path}[labels]", f"expected less than {len(names)}, the number of classes, found {labels.max()}"
        )
    return names
