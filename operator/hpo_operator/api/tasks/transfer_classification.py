"""The task ``transferClassification``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hpo_operator.api.model import Rule
from hpo_operator.api.tasks.labelled_images import LabelledImagesTask
from hpo_operator.api.tasks.task import Task, inside


class TransferClassificationTask(LabelledImagesTask):
    """Image classification with a published network, trained in two steps: its new head, then from a layer on (Borgli et al., Saga, 2018)."""

    backbone: Literal[
        "ResNet10",
        "ResNet18",
        "ResNet34",
        "ResNet50",
        "ResNet101",
        "DenseNet121",
        "DenseNet169",
        "DenseNet201",
        "EfficientNetB0",
        "EfficientNetB1",
        "EfficientNetB2",
        "EfficientNetB3",
    ] = Field("ResNet18", description="The network below the head.")
    width: float = Field(
        1.0, ge=0.125, le=2, description="Channels over those of the published network; EfficientNets have 1."
    )
    stem: Literal["Standard", "Small"] = Field(
        "Standard",
        description="Small: a first convolution of 3 x 3 that keeps the resolution, and no max-pooling, for images of few pixels.",
    )
    method: Literal["FineTuning", "Head", "None", "Scratch"] = Field(
        "FineTuning",
        description="What is trained: the head and then all from delimitingLayer on, the head alone, nothing, or all from random weights.",
    )
    weights: str = Field(
        "weights.pt",
        max_length=256,
        description="Path inside the data volume of published weights or the checkpoint.pt of a transferClassification trial; {backbone} stands for the backbone's name.",
    )
    head_epochs: int = Field(
        2, ge=0, le=1000, description="Epochs of the first step, in which the head alone is trained."
    )
    head_learning_rate: float = Field(
        0.01, ge=1e-9, le=100, description="Step size of the optimizer in the first step."
    )
    delimiting_layer: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the backbone's layers, from the input on, that the second step leaves as they are: 0 trains all, 1 the head alone.",
    )
    dropout: float = Field(0.0, ge=0, le=0.95, description="Dropout before the last layer.")
    class_weights: Literal["None", "Balanced"] = Field(
        "Balanced",
        description="Whether images of rare classes weigh more in the loss, so that all classes weigh alike.",
    )
    normalization: Literal["TrainingSet", "Image"] = Field(
        "TrainingSet", description="Whose mean and standard deviation an image's intensities are normalised by."
    )
    mirroring: bool = Field(False, description="Exchange left and right in half of the training images.")
    intensity_change: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Most by which the log contrast and, in standard deviations, the brightness of a training image are changed.",
    )
    optimizer: Literal["SGD", "Adam", "AdamW"] = Field(
        "SGD", description="Optimisation method; SGD is with Nesterov momentum."
    )
    momentum: float = Field(0.9, ge=0, le=0.9999, description="Momentum of SGD.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Weight decay of the optimizer.")

    rules = (
        *Task.rules,
        inside("weights"),
        Rule(
            "!(self.microBatchSize in [1, 2])",
            "expected 0 or at least 3, so that batch normalisation averages over two samples or more",
            lambda s: s.micro_batch_size not in (1, 2),
            "microBatchSize",
            lambda s: str(s.micro_batch_size),
        ),
    )
