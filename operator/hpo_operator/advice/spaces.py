"""What to search for each built-in task, and with which fixed settings, fitted to a data set and a machine.

Ranges are those of the documents that the tasks come from where a machine allows them: Bertrand et al. (ISBI 2017,
Table 1) for classification, AutoMONAI (Table 3.4) for U-Nets; the rest follows nnU-Net's plans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hpo_operator.advice.document import Block, Entry
from hpo_operator.advice.fingerprint import Fingerprint
from hpo_operator.advice.machine import Machine, deepest, patch

Given = tuple[Fingerprint, Machine]


@dataclass(frozen=True)
class Draft:
    """``fixed``: fields of the task; ``parameters``: items of the search space; ``epochs``: of the longest training."""

    metric: str
    fixed: Block
    parameters: tuple[Block, ...]
    epochs: int
    validation_interval: int = 1


def classification(given: Fingerprint, machine: Machine) -> Draft:
    size = max(32, min(224 if machine.has_gpu else 64, 16 * round(max(given.size) / 16)))
    filters = 128 if machine.has_gpu else 32
    uneven = given.imbalance > 1.5
    return Draft(
        metric="balanced_accuracy" if uneven else "accuracy",
        fixed=(
            Entry("imageSize", size, f"images are resized to this; their median is {_by(given.size)}"),
            Entry("denseUnits", [256]),
        ),
        parameters=(
            parameter("learningRate", "float", min=1e-5, max=0.1, scale="Log"),
            parameter("blocks", "int", min=2, max=min(6, size.bit_length() - 2)),
            parameter("convolutionsPerBlock", "int", min=1, max=3),
            parameter("filters", "int", min=8, max=filters, scale="Log"),
            parameter("kernelSize", "ordinal", values=[3, 5]),
            parameter("optimizer", "categorical", choices=["SGD", "Adam", "AdamW"]),
            when(parameter("momentum", "float", min=0.5, max=0.99), "optimizer", "SGD"),
            parameter("batchSize", "ordinal", values=_batches(given, 8, 128 if machine.has_gpu else 64)),
            parameter("dropout", "float", min=0.0, max=0.6),
            augmentation(),
        ),
        epochs=_epochs(given, machine, samples=200_000),
    )


def transfer_classification(given: Fingerprint, machine: Machine) -> Draft:
    """Borgli et al. (Saga, 2018): backbone, optimizer, delimiting layer and two learning rates."""
    backbones = ["ResNet18", "ResNet50", "DenseNet121", "DenseNet169"]
    size = max(64, min(224, 32 * round(max(given.size) / 32))) if machine.has_gpu else 64
    return Draft(
        metric="mcc",
        fixed=(
            Entry("imageSize", size, f"images are resized to this; their median is {_by(given.size)}"),
            Entry(
                "weights",
                "weights/{backbone}.pt",
                "published weights in the data volume, a file for each backbone; or an earlier trial's checkpoint.pt",
            ),
            Entry("headEpochs", 2),
        ),
        parameters=(
            parameter("backbone", "categorical", choices=backbones if machine.has_gpu else ["ResNet10", "ResNet18"]),
            parameter("method", "categorical", choices=["FineTuning", "Head", "Scratch"]),
            when(parameter("delimitingLayer", "float", min=0.0, max=1.0), "method", "FineTuning"),
            parameter("headLearningRate", "float", min=1e-4, max=0.1, scale="Log"),
            parameter("learningRate", "float", min=1e-5, max=0.1, scale="Log"),
            parameter("optimizer", "categorical", choices=["SGD", "Adam", "AdamW"]),
            parameter("batchSize", "ordinal", values=_batches(given, 8, 128 if machine.has_gpu else 64)),
            parameter("dropout", "float", min=0.0, max=0.6),
            augmentation(),
        ),
        epochs=_epochs(given, machine, samples=100_000),
    )


def segmentation(given: Fingerprint, machine: Machine) -> Draft:
    axes = _axes(given)
    size = given.largest[:axes]
    depth = deepest(given.size[:axes])
    whole = given.voxels <= machine.patch_voxels if axes == len(given.largest) else True
    fixed = [Entry("dimensions", f"{axes}D")]
    if not whole:
        cut = patch(given.size[:axes], machine.patch_voxels, depth)
        why = f"the largest volume, {_by(given.largest)}, does not fit {_where(machine)} whole"
        fixed.append(Entry("patchSize", list(cut), f"voxels; {why}"))
    fixed += [
        Entry(
            "normalization",
            "PercentileZScore" if given.hounsfield else "ZScore",
            f"the least value, {given.low:g}, says " + ("Hounsfield units" if given.hounsfield else "no CT"),
        )
    ]
    shallow = max(2, min(3, depth))
    depths = parameter("depth", "int", min=shallow, max=depth) if depth > shallow else None
    if depths is None:
        fixed.append(
            Entry("depth", depth, f"halved once more, {_by(size)} would have fewer than 4 voxels at the bottom")
        )
    batches = [2, 4, 8] if axes == 3 and given.training >= 8 else [1, 2, 4] if axes == 3 else _batches(given, 4, 32)
    return Draft(
        metric="dice",
        fixed=tuple(fixed),
        parameters=(
            parameter("learningRate", "float", min=1e-4, max=5e-2, scale="Log"),
            *([depths] if depths else []),
            parameter("channels", "int", min=8, max=32 if machine.has_gpu else 16, step=8),
            parameter("residualUnits", "int", min=0, max=3),
            parameter("batchSize", "ordinal", values=batches),
            parameter("optimizer", "categorical", choices=["Adam", "AdamW", "SGD"]),
            when(parameter("weightDecay", "float", min=1e-6, max=1e-2, scale="Log"), "optimizer", "AdamW"),
            parameter("loss", "categorical", choices=["Dice", "DiceCE", "DiceFocal", "GeneralizedDice"]),
            augmentation(),
        ),
        epochs=_epochs(given, machine, samples=50_000 if axes == 3 else 100_000),
    )


def template_deformation(given: Fingerprint, machine: Machine) -> Draft:
    axes = _axes(given)
    depth = max(2, deepest(given.size[:axes]))
    return Draft(
        metric="dice",
        fixed=(
            Entry("dimensions", f"{axes}D"),
            Entry("depth", depth),
            Entry("normalization", "PercentileZScore" if given.hounsfield else "ZScore"),
        ),
        parameters=(
            parameter("learningRate", "float", min=1e-4, max=1e-2, scale="Log"),
            parameter("channels", "int", min=8, max=32 if machine.has_gpu else 16, step=8),
            parameter("fieldLevel", "int", min=0, max=min(2, depth - 1)),
            parameter("headLayers", "int", min=0, max=3),
            parameter("deformationPenalty", "float", min=0.1, max=1000.0, scale="Log"),
            parameter("batchSize", "ordinal", values=[2, 4, 8] if axes == 3 else _batches(given, 4, 32)),
            augmentation(),
        ),
        epochs=_epochs(given, machine, samples=50_000),
    )


def transfer_segmentation(given: Fingerprint, machine: Machine) -> Draft:
    methods = ["Full", "Partial", "FixedConvolutions", "Geometric", "Intensity", "GeometricIntensity"]
    axes = _axes(given)
    return Draft(
        metric="dice",
        fixed=(
            Entry(
                "sourceCheckpoint",
                "source/checkpoint.pt",
                "copy the checkpoint.pt of a trial of the task segmentation into the data volume, and name it here",
            ),
        ),
        parameters=(
            parameter("method", "categorical", choices=methods),
            when(parameter("trainedBlocks", "int", min=1, max=4), "method", "Partial"),
            when(parameter("trainedEnd", "categorical", choices=["First", "Last"]), "method", "Partial"),
            parameter("learningRate", "float", min=1e-5, max=1e-2, scale="Log"),
            parameter("batchSize", "ordinal", values=[2, 4, 8] if axes == 3 else _batches(given, 4, 32)),
            augmentation(),
        ),
        epochs=_epochs(given, machine, samples=20_000),
    )


DRAFTS: Mapping[str, Callable[[Fingerprint, Machine], Draft]] = {
    "classification": classification,
    "transferClassification": transfer_classification,
    "segmentation": segmentation,
    "templateDeformation": template_deformation,
    "transferSegmentation": transfer_segmentation,
}
"""Task -> its draft."""

KINDS = {"classification": "classification", "transferClassification": "classification"}
"""Task -> the kind of data set that it reads; segmentation, where it is not named."""


def parameter(name: str, kind: str, **values: Any) -> Block:
    """``- name: N`` and its range on the next line."""
    return (Entry("name", name), Entry(kind, values))


def when(block: Block, other: str, *values: str) -> Block:
    """``block``, searched only where the parameter ``other`` has one of ``values``."""
    return (*block, Entry("when", {"parameter": other, "in": list(values)}))


def augmentation() -> Block:
    return parameter("augmentation", "categorical", choices=["true", "false"])


def _axes(given: Fingerprint) -> int:
    """2 for slices, and for volumes too thin to be halved twice."""
    return 3 if len(given.size) == 3 and min(given.size) >= 8 else 2


def _batches(given: Fingerprint, least: int, most: int) -> list[int]:
    """Powers of two, no more than an eighth of the training images: an epoch is several steps."""
    sizes = [2**k for k in range(12) if least <= 2**k <= min(most, given.training // 8)]
    return sizes if len(sizes) >= 2 else [max(1, least // 2), least]


def _epochs(given: Fingerprint, machine: Machine, samples: int) -> int:
    """Of the longest training: about ``samples`` seen on a GPU, a tenth of it on a processor; 9, 27, 81, ... epochs."""
    wanted = (samples if machine.has_gpu else samples / 10) / given.training
    return next((n for n in (243, 81, 27) if wanted >= n), 9)


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def _where(machine: Machine) -> str:
    return f"{machine.gpu_memory:g} GiB of GPU memory" if machine.has_gpu else "what a processor trains in an hour"
