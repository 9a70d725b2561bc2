"""Images with masks: .npz files and NIfTI volumes in Decathlon layout; see docs/data-formats.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo_trainer.config import SegmentationConfig
from hpo_trainer.data import archive_split, decathlon, nifti, splits
from hpo_trainer.data.digest import digest
from hpo_trainer.data.files import Array, Image, find_data_set, finite, read_arrays
from hpo_trainer.data.intensity import normalize
from hpo_trainer.data.resampling import common_spacing, resample_image
from hpo_trainer.failures import BadConfig, BadData

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """``image``: float32, (C, *S), normalised; ``mask``: uint8, (*S); ``case``: the volume or group it is a part of.

    With ``resampling`` the image has another grid of the same extent than its mask, whose grid is that of the file.
    ``item``: the volume or image of the source that it is, or is a slice of.
    """

    image: Tensor
    mask: Tensor
    case: int
    item: int = 0


@dataclass(frozen=True)
class SegmentationData:
    """``classes[0]`` is the background. Samples have their own sizes.

    ``test``: reads the test side, as the other two were read, with its own source; None where there is none. No trial
    ever calls it. ``spacing``: to which images were resampled, in millimetres; None: they were not.
    """

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    classes: tuple[str, ...]
    fingerprint: str
    source: Source
    test: Callable[[Callable[[], None]], tuple[Source, tuple[Sample, ...]] | None]
    spacing: tuple[float, ...] | None

    @property
    def channels(self) -> int:
        return int(self.validation[0].image.shape[0])

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """The names of the items that train and validate."""
        split = {"train": self.source.split.train, "validation": self.source.split.validation}
        return {side: tuple(self.source.names[i] for i in items) for side, items in split.items()}


@dataclass(frozen=True)
class Source:
    """A data set before it is read; ``pair(i)`` gives image (C, *S) and mask (*S) of item ``i`` as stored.

    ``files``: the image file of each item, none for an archive. ``missing``: what to raise for each that is not there.
    ``names``: what each item is called. ``spacing(i)``: millimetres from voxel to voxel along each axis of item ``i``;
    of an archive, which does not tell, 1. ``test``: the items on the test side.
    """

    path: Path
    classes: tuple[str, ...]
    cases: NDArray[np.int64]
    split: splits.Split
    pair: Callable[[int], tuple[Image, Mask]]
    names: tuple[str, ...]
    spacing: Callable[[int], tuple[float, ...]]
    files: tuple[Path, ...] = ()
    missing: tuple[BadData, ...] = ()
    test: splits.Indices = field(default_factory=splits.nothing)

    def case_name(self, case: int) -> str:
        """The name of its one item, or the number of its group."""
        items = np.flatnonzero(self.cases == case)
        return self.names[int(items[0])] if len(items) == 1 else f"group {case}"


def load(
    data_dir: Path, config: SegmentationConfig, poll: Callable[[], None], split: splits.NamedSplit | None = None
) -> SegmentationData:
    """Read the images that this configuration trains and validates on; ``poll`` is called between two files.

    ``split``: in place of the one that the configuration names.
    Raises BadData, and BadConfig where the data set and the configuration do not go together.
    """
    source = find(find_data_set(data_dir, config.dataset), config)
    if split is not None:
        source = replace(source, split=split.of(source.names))
    if source.missing:
        raise source.missing[0]
    spacing = _target_spacing(source, config)
    train = tuple(_samples(source, source.split.train, config, spacing, poll))
    validation = tuple(_samples(source, source.split.validation, config, spacing, poll))
    _check_classes(source, train, "training")
    _check_classes(source, validation, "validation")

    def test(poll: Callable[[], None]) -> tuple[Source, tuple[Sample, ...]] | None:
        side = find_test(source)
        return None if side is None else (side, tuple(_samples(side, side.test, config, spacing, poll)))

    fingerprint = _fingerprint(train, validation, source.classes)
    return SegmentationData(train, validation, source.classes, fingerprint, source, test, spacing)


def find(path: Path, config: SegmentationConfig) -> Source:
    """What there is at ``path``, and who validates; no volume is read yet. Raises BadData and BadConfig."""
    return _decathlon(path, config) if path.is_dir() else _archive(path, config)


def find_test(source: Source) -> Source | None:
    """The same data set with its test side as ``test``; None where it has none. Raises BadData."""
    if source.test.size:
        return source
    return _decathlon_test(source) if source.path.is_dir() else _archive_test(source)


def _target_spacing(source: Source, config: SegmentationConfig) -> tuple[float, ...] | None:
    """Millimetres along each axis to which volumes are resampled; None: not at all. Of the training side alone.

    Slices keep their distance: each volume has its own. Raises BadConfig for archives, which tell no spacing.
    """
    if config.resampling == "None":
        return None
    if not source.files:
        raise BadConfig(
            "HPO_CONFIG.resampling", f"expected None, since {source.path} tells no spacing, found {config.resampling}"
        )
    return common_spacing([source.spacing(int(i))[: config.axes] for i in source.split.train], config.resampling)


def _samples(
    source: Source,
    items: splits.Indices,
    config: SegmentationConfig,
    spacing: tuple[float, ...] | None,
    poll: Callable[[], None],
) -> Iterable[Sample]:
    """Normalise each image as a whole, then cut volumes into slices along their last axis if 2D is asked for."""
    for i in items:
        poll()
        image, mask = source.pair(int(i))
        image = normalize(image, config.normalization)
        if spacing is not None:
            present = source.spacing(int(i))
            image = resample_image(image, present, (*spacing, *present[len(spacing) :]))
        case = int(source.cases[i])
        if mask.ndim == config.axes:
            yield Sample(torch.from_numpy(image), torch.from_numpy(mask), case, int(i))
        else:
            for z in range(mask.shape[-1]):
                slices = np.ascontiguousarray(image[..., z]), np.ascontiguousarray(mask[..., z])
                yield Sample(torch.from_numpy(slices[0]), torch.from_numpy(slices[1]), case, int(i))


def _check_classes(source: Source, samples: Sequence[Sample], side: str) -> None:
    """Each foreground class must occur on both sides: without it a Dice coefficient has no meaning."""
    if not samples:
        raise BadData(source.path, f"no image is left for {side}")
    present = np.zeros(256, dtype=bool)
    for sample in samples:
        present[np.unique(sample.mask.numpy())] = True
    for label, name in enumerate(source.classes):
        if label > 0 and not present[label]:
            raise BadData(source.path, f"class {name!r} (label {label}) occurs in no {side} image; try another fold")


def _fingerprint(train: Sequence[Sample], validation: Sequence[Sample], classes: tuple[str, ...]) -> str:
    parts: list[Tensor | tuple[str, ...]] = [classes]
    for side, samples in (("train", train), ("validation", validation)):
        parts.append((side,))
        parts += [tensor for sample in samples for tensor in (sample.image, sample.mask)]
    return digest(*parts)


def checked_mask(values: Array, image: Image, classes: int, source: object) -> Mask:
    """``values`` as uint8. Raises BadData for another shape than the image's, or labels that are no class."""
    if values.shape != image.shape[1:]:
        raise BadData(source, f"the mask has shape {values.shape}, its image {image.shape[1:]}; resample one of them")
    labels = np.unique(values)
    wrong = labels[~np.isin(labels, np.arange(classes))]
    if wrong.size:
        raise BadData(source, f"label {wrong[0]:g} is none of the {classes} classes 0 to {classes - 1}; correct one")
    return np.ascontiguousarray(values, dtype=np.uint8)


# --------------------------------------------------------------------------------------------------------- archives


def _archive(path: Path, config: SegmentationConfig) -> Source:
    arrays = read_arrays(path)
    images, masks, groups = _archive_arrays(path, arrays, "")
    if masks.ndim - 1 < config.axes:
        raise BadConfig("HPO_CONFIG.dimensions", f"expected 2D, since {path} holds slices, found {config.dimensions}")
    if config.split_file:
        split, test = archive_split.read(path, config, len(masks))
    else:
        split, test = _fold(path, groups, config), splits.nothing()
    source = _archive_source(path, (images, masks, groups), _classes(arrays, masks, path), split, "")
    return replace(source, test=test)


def _archive_test(source: Source) -> Source | None:
    """Of the arrays test_images, test_masks and test_groups."""
    arrays = read_arrays(source.path, test=True)
    if not arrays:
        return None
    found = _archive_arrays(source.path, arrays, "test_")
    nobody = splits.Split(splits.nothing(), splits.nothing())
    side = _archive_source(source.path, found, source.classes, nobody, "test_")
    return replace(side, test=np.flatnonzero(found[2] != splits.LEFT_OUT))


def _archive_arrays(path: Path, arrays: dict[str, Array], prefix: str) -> tuple[Array, Array, NDArray[np.int64]]:
    """Images (N, C, *S), masks (N, *S) and groups (N,)."""
    names = [f"{prefix}{name}" for name in ("images", "masks", "groups")]
    for name in names:
        if name not in arrays:
            raise BadData(path, f"expected arrays {', '.join(names)}; no {name} among {', '.join(sorted(arrays))}")
    images, masks, groups = (arrays[name] for name in names)
    shaped = images[:, None] if images.ndim == masks.ndim else images
    if masks.ndim not in (3, 4) or shaped.ndim != masks.ndim + 1 or len(images) != len(masks):
        raise BadData(
            path,
            "expected images (N, H, W), (N, C, H, W) or with a depth at the end, and masks of that shape without C, "
            f"found {images.shape} and {masks.shape}",
        )
    return shaped, masks, _groups(groups, len(masks), path)


def _archive_source(
    path: Path,
    arrays: tuple[Array, Array, NDArray[np.int64]],
    classes: tuple[str, ...],
    split: splits.Split,
    prefix: str,
) -> Source:
    images, masks, groups = arrays

    def pair(i: int) -> tuple[Image, Mask]:
        where = f"{path}: {prefix.replace('_', ' ')}image {i}"
        image = finite(images[i], where)
        return image, checked_mask(masks[i], image, len(classes), where)

    names = tuple(f"{prefix}images[{i}]" for i in range(len(masks)))
    return Source(path, classes, groups, split, pair, names, lambda i: (1.0,) * (masks.ndim - 1))


def _fold(path: Path, groups: NDArray[np.int64], config: SegmentationConfig) -> splits.Split:
    try:
        return splits.by_fold(groups, config.validation_fraction, config.fold)
    except ValueError as error:
        raise BadData(path, str(error)) from error


def _groups(values: Array, count: int, path: Path) -> NDArray[np.int64]:
    if values.shape != (count,) or values.dtype.kind not in "iu":
        raise BadData(
            f"{path}[groups]", f"expected {count} integers, one for each image, found {values.dtype} {values.shape}"
        )
    return values.astype(np.int64)


def _classes(arrays: dict[str, Array], masks: Array, path: Path) -> tuple[str, ...]:
    """Names from the array ``classes``, or else background, 1, 2, ... up to the greatest label."""
    if masks.dtype.kind not in "iub" or masks.size == 0:
        raise BadData(f"{path}[masks]", f"expected integers, found {masks.dtype} {masks.shape}")
    if "classes" in arrays:
        names = tuple(str(name) for name in arrays["classes"])
    else:
        names = ("background", *map(str, range(1, int(masks.max()) + 1)))
    if not 2 <= len(names) <= 256:
        raise BadData(
            f"{path}[masks]", f"expected labels 0 (background), 1, 2, ... below 256, found {len(names)} classes"
        )
    return names


# --------------------------------------------------------------------------------------------------------- Decathlon


def _decathlon(path: Path, config: SegmentationConfig) -> Source:
    description = decathlon.read(path)
    cases = np.arange(len(description.cases))
    test = splits.nothing()
    if description.folds:
        if config.fold >= len(description.folds):
            raise BadConfig("HPO_CONFIG.fold", f"expected less than {len(description.folds)}, found {config.fold}")
        train, validation = description.folds[config.fold]
        where = f"{path / decathlon.SPLITS_FILE}[{config.fold}]"
        split = splits.by_names([case.name for case in description.cases], train, validation, where)
        used = {name for fold in description.folds for side in fold for name in side}
        test = np.flatnonzero([case.name not in used for case in description.cases])
    else:
        split = _fold(path, cases, config)
    source = _decathlon_source(path, description, description.cases, split)
    return replace(source, missing=description.missing, test=test)


def _decathlon_test(source: Source) -> Source | None:
    """Of the pairs under ``test`` in dataset.json, if these have labels."""
    description = decathlon.read(source.path)
    cases = decathlon.read_test(source.path)
    if not cases:
        return None
    nobody = splits.Split(splits.nothing(), splits.nothing())
    return replace(_decathlon_source(source.path, description, cases, nobody), test=np.arange(len(cases)))


def _decathlon_source(
    path: Path, description: decathlon.Description, cases: tuple[decathlon.Case, ...], split: splits.Split
) -> Source:
    def pair(i: int) -> tuple[Image, Mask]:
        image, labels = cases[i].read()
        if image.shape[0] != description.channels:
            raise BadData(
                cases[i].image, f"expected {description.channels} channels as dataset.json, found {image.shape[0]}"
            )
        return image, checked_mask(labels, image, len(description.classes), cases[i].label)

    files, names = tuple(case.image for case in cases), tuple(case.name for case in cases)
    numbers = np.arange(len(cases))
    return Source(
        path, description.classes, numbers, split, pair, names, lambda i: nifti.read_spacing(cases[i].image), files
    )
