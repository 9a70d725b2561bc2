"""The built-in training tasks and their configuration, as a study may state it under ``spec.trainer``.

Every field may be tuned instead: a parameter of the same name overrides it. The trainer declares the same fields;
a contract test holds the two lists together.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, cast, get_args

from annotated_types import Ge, Le
from pydantic import Field
from pydantic.fields import FieldInfo

from hpo_operator.api.model import ApiModel, Rule
from hpo_operator.api.words import show

Positive = Annotated[int, Field(ge=1, le=65536)]


def _inside(field: str) -> Rule:
    """The path in ``field`` may not leave the data volume."""

    def path(task: Any) -> str:
        return str(getattr(task, re.sub("[A-Z]", lambda m: "_" + m[0].lower(), field)))

    return Rule(
        f"!has(self.{field}) || !self.{field}.matches('^/|(^|/)[.][.](/|$)')",
        "expected a path inside the data volume",
        lambda task: not path(task).startswith("/") and ".." not in path(task).split("/"),
        field,
        lambda task: show(path(task)),
    )


class Task(ApiModel):
    """What all built-in tasks share."""

    dataset: str = Field(
        ".", max_length=256, description="Path of the data set inside the data volume: a folder, or an .npz file."
    )
    split_file: str = Field(
        "",
        max_length=256,
        description="CSV inside the data set with the columns class, file and one per split; empty: split by the trainer.",
    )
    split_column: str = Field("split", max_length=64, description="Column of splitFile that holds train, val or test.")
    validation_fraction: float = Field(
        0.25,
        ge=0.01,
        le=0.9,
        description="Share of the groups (volumes, slabs, blocks of files) held out for validation when the data set brings no split.",
    )
    epochs: int = Field(10, ge=1, le=100000, description="Epochs to train; the fidelity `epochs` overrides it.")
    batch_size: int = Field(8, ge=1, le=4096, description="Samples per optimisation step.")
    learning_rate: float = Field(0.001, ge=1e-9, le=100, description="Initial step size of the optimizer.")
    augmentation: bool = Field(False, description="Random geometric and intensity changes of the training images.")
    deterministic: bool = Field(
        True, description="Same seed, same result, bit for bit, on the CPU with the same number of threads."
    )
    validation_interval: int = Field(
        1, ge=1, le=1000, description="Epochs between two validations; the last epoch is always validated."
    )

    rules: ClassVar[tuple[Rule, ...]] = (_inside("dataset"), _inside("splitFile"))


class ClassificationTask(Task):
    """Image classification by the parametric CNN family of Bertrand et al. (ISBI 2017), Table 1."""

    train_samples_per_class: int = Field(0, ge=0, le=1000000, description="Training images used per class; 0: all.")
    image_size: int = Field(64, ge=8, le=1024, description="Images are resized to this many pixels a side.")
    blocks: int = Field(5, ge=1, le=8, description="Convolution blocks, each ended by a max-pooling.")
    convolutions_per_block: int = Field(1, ge=1, le=10, description="Convolutions in a block.")
    filters: int = Field(64, ge=1, le=1024, description="Filters of every convolution.")
    kernel_size: int = Field(3, ge=1, le=11, description="Pixels a side of a convolution's kernel; odd.")
    separable: bool = Field(False, description="Replace each k x k convolution by a 1 x k and a k x 1.")
    dense_units: list[Positive] = Field([4096, 1024], max_length=8, description="Units of the fully connected layers.")
    dropout: float = Field(0.0, ge=0, le=0.95, description="Dropout between the fully connected layers.")
    optimizer: Literal["SGD", "Adam", "AdamW"] = Field(
        "SGD", description="Optimisation method; SGD is with Nesterov momentum."
    )
    momentum: float = Field(0.9, ge=0, le=0.9999, description="Momentum of SGD.")
    learning_rate_decay: float = Field(1e-6, ge=0, le=1, description="d in learningRate / (1 + d * step).")

    rules = (
        *Task.rules,
        Rule(
            "self.kernelSize % 2 == 1",
            "expected an odd number",
            lambda s: s.kernel_size % 2 == 1,
            "kernelSize",
            lambda s: str(s.kernel_size),
        ),
    )


class SegmentationTask(Task):
    """2D or 3D segmentation by a U-Net, scored by the Dice coefficient."""

    dimensions: Literal["2D", "3D"] = Field("2D", description="Train on slices or on volumes.")
    fold: int = Field(0, ge=0, le=99, description="Which fold is the validation set, when the data set lists folds.")
    depth: int = Field(3, ge=1, le=6, description="Resolution levels of the U-Net.")
    channels: int = Field(16, ge=1, le=512, description="Channels of the first level.")
    channel_multiplier: float = Field(
        2.0, ge=0.5, le=4, description="Channels of a level over those of the level above."
    )
    residual_units: int = Field(0, ge=0, le=4, description="Residual units per level; 0: plain convolutions.")
    normalization: Literal["None", "ZScore", "PercentileZScore", "MinMax"] = Field(
        "ZScore", description="Normalisation of each image's intensities."
    )
    loss: Literal["Dice", "DiceCE", "GeneralizedDice", "DiceFocal"] = Field("DiceCE", description="Training loss.")
    optimizer: Literal["Adam", "AdamW", "SGD"] = Field("Adam", description="Optimisation method.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Weight decay of the optimizer.")
    dropout: float = Field(0.0, ge=0, le=0.95, description="Dropout inside the U-Net.")
    patch_size: list[Positive] = Field(
        [], max_length=3, description="Pixels or voxels of a training patch; empty: whole images."
    )

    rules = (
        *Task.rules,
        Rule(
            "size(self.patchSize) == 0 || (size(self.patchSize) == 2 && self.dimensions == '2D') || (size(self.patchSize) == 3 && self.dimensions == '3D')",
            "expected as many numbers in patchSize as dimensions, or none",
            lambda s: len(s.patch_size) in (0, int(s.dimensions[0])),
            "patchSize",
            lambda s: f"{len(s.patch_size)} for {s.dimensions}",
        ),
    )


class TemplateDeformationTask(Task):
    """2D or 3D segmentation by deforming a mean shape of each class, so that a mask stays in one piece."""

    dimensions: Literal["2D", "3D"] = Field("2D", description="Train on slices or on volumes.")
    fold: int = Field(0, ge=0, le=99, description="Which fold is the validation set, when the data set lists folds.")
    depth: int = Field(4, ge=2, le=6, description="Resolution levels of the network.")
    channels: int = Field(16, ge=1, le=512, description="Channels of the first level.")
    channel_multiplier: float = Field(
        2.0, ge=0.5, le=4, description="Channels of a level over those of the level above."
    )
    field_level: int = Field(
        1,
        ge=0,
        le=5,
        description="Level at which the local displacements are predicted; each halves the resolution of the one above.",
    )
    head_layers: int = Field(
        2, ge=0, le=4, description="Convolution blocks before the prediction of the global transformation."
    )
    transformation: Literal["Both", "Global", "Local"] = Field(
        "Both",
        description="Translation, rotation and scaling of the whole template, local displacements, or the one after the other.",
    )
    deformation_penalty: float = Field(
        10.0,
        ge=0,
        le=1e6,
        description="Weight of the mean squared displacement in the loss, in half the longest side of an image.",
    )
    edge_width: float = Field(
        1.0, ge=0.1, le=16, description="Voxels over which the template's edge rises from 0 to 1 in the training loss."
    )
    normalization: Literal["None", "ZScore", "PercentileZScore", "MinMax"] = Field(
        "ZScore", description="Normalisation of each image's intensities."
    )
    optimizer: Literal["Adam", "AdamW", "SGD"] = Field("Adam", description="Optimisation method.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Weight decay of the optimizer.")


class TransferSegmentationTask(Task):
    """Adapts a trained U-Net to another population; scored by the Dice coefficient on both populations."""

    fold: int = Field(0, ge=0, le=99, description="Which fold is the validation set, when the data set lists folds.")
    source_checkpoint: str = Field(
        "checkpoint.pt",
        max_length=256,
        description="Path inside the data volume of the checkpoint.pt of a segmentation trial.",
    )
    source_dataset: str = Field(
        "",
        max_length=256,
        description="Path of the source's data set inside the data volume; empty: as the source's own trial named it.",
    )
    method: Literal["None", "Full", "Partial", "FixedConvolutions", "Geometric", "Intensity", "GeometricIntensity"] = (
        Field(
            "GeometricIntensity",
            description="What is trained: nothing, all weights, some blocks, or only layers that are added to the source network.",
        )
    )
    trained_blocks: int = Field(1, ge=1, le=11, description="Blocks of the source network that Partial trains.")
    trained_end: Literal["First", "Last"] = Field("Last", description="Where the blocks stand that Partial trains.")
    layer_channels: int = Field(16, ge=1, le=256, description="Channels inside the geometric and the intensity layers.")
    loss: Literal["Dice", "DiceCE", "GeneralizedDice", "DiceFocal"] = Field("DiceCE", description="Training loss.")
    optimizer: Literal["Adam", "AdamW", "SGD"] = Field("Adam", description="Optimisation method.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Weight decay of the optimizer.")

    rules = (*Task.rules, _inside("sourceCheckpoint"), _inside("sourceDataset"))


TASKS: dict[str, type[Task]] = {
    "classification": ClassificationTask,
    "segmentation": SegmentationTask,
    "templateDeformation": TemplateDeformationTask,
    "transferSegmentation": TransferSegmentationTask,
}
"""Name of a task (as under ``spec.trainer`` and in HPO_TASK) -> its configuration."""


ODD = ("kernelSize",)
"""Fields that must be odd, whether fixed or tuned."""


def bounds_of(field: FieldInfo) -> tuple[float | None, float | None]:
    """Least and most that a number in ``field`` may be; None where it has no bound."""
    least = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), None)
    most = next((bound.le for bound in field.metadata if isinstance(bound, Le)), None)
    return cast("float | None", least), cast("float | None", most)


def choices_of(field: FieldInfo) -> tuple[str, ...]:
    """What a tunable field of a few values may be: the members of its enum, true and false, or nothing."""
    if field.annotation is bool:
        return ("true", "false")
    return tuple(c for c in get_args(field.annotation) if isinstance(c, str))
