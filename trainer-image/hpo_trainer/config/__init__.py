"""The configuration of the built-in tasks: every field with its type, default and bounds, once.

Pure standard library, so that a bad configuration is refused before anything heavy is imported. The operator declares
the same fields in the study's schema; ``FIELDS`` lets a test hold the two lists together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hpo_trainer.config.classification import ClassificationConfig
from hpo_trainer.config.fields import FieldSpec, camel_case, convert, did_you_mean, field_spec, snake_case
from hpo_trainer.config.labelled_images import LabelledImagesConfig
from hpo_trainer.config.masked_images import MaskedImagesConfig, VoxelwiseConfig
from hpo_trainer.config.segmentation import SegmentationConfig
from hpo_trainer.config.task import TaskConfig
from hpo_trainer.config.template_deformation import TemplateDeformationConfig
from hpo_trainer.config.transfer_classification import TransferClassificationConfig
from hpo_trainer.config.transfer_segmentation import TransferSegmentationConfig
from hpo_trainer.failures import BadConfig

__all__ = [
    "CONFIGS",
    "FIELDS",
    "ClassificationConfig",
    "LabelledImagesConfig",
    "MaskedImagesConfig",
    "SegmentationConfig",
    "TaskConfig",
    "TemplateDeformationConfig",
    "TransferClassificationConfig",
    "TransferSegmentationConfig",
    "VoxelwiseConfig",
    "completed",
    "did_you_mean",
    "fingerprint",
    "identity",
    "parse",
]

CONFIGS: Mapping[str, type[TaskConfig]] = {
    "classification": ClassificationConfig,
    "segmentation": SegmentationConfig,
    "templateDeformation": TemplateDeformationConfig,
    "transferClassification": TransferClassificationConfig,
    "transferSegmentation": TransferSegmentationConfig,
}

FIELDS: Mapping[str, tuple[FieldSpec, ...]] = {
    task: tuple(field_spec(field) for field in dataclasses.fields(config)) for task, config in CONFIGS.items()
}
"""Every field of every task, common ones first."""


def parse(task: str, config: Mapping[str, Any], parameters: Mapping[str, Any], epochs: int | None = None) -> TaskConfig:
    """The configuration of ``task``: its fields, overridden by the trial's parameters and the fidelity's ``epochs``.

    Raises BadConfig, whose path is HPO_TASK, HPO_CONFIG.<field>, HPO_PARAMETERS.<field> or HPO_RESOURCE.
    """
    if task not in CONFIGS:
        raise BadConfig(
            "HPO_TASK", f"expected one of {', '.join(CONFIGS)}, found {task!r}{did_you_mean(task, CONFIGS)}"
        )
    specs = {spec.name: spec for spec in FIELDS[task]}
    values: dict[str, Any] = {}
    source = {name: f"HPO_CONFIG.{name}" for name in specs}
    layers = [("HPO_CONFIG", config), ("HPO_PARAMETERS", parameters)]
    for origin, layer in layers:
        for name, value in layer.items():
            path = f"{origin}.{name}"
            if name not in specs:
                raise BadConfig(path, f"no field of the task {task}{did_you_mean(name, specs)}")
            values[snake_case(name)] = convert(specs[name], value, path)
            source[name] = path
    if epochs is not None:
        values["epochs"] = convert(specs["epochs"], epochs, "HPO_RESOURCE")
    parsed = CONFIGS[task](**values)
    parsed.check(source)
    return parsed


def identity(task: str, config: TaskConfig, seed: int) -> dict[str, Any]:
    """What training depends on, as plain values: all fields but ``epochs``, by external name, the task and the seed."""
    fields = {camel_case(k): v for k, v in dataclasses.asdict(config).items() if k != "epochs"}
    return {"task": task, "seed": seed} | fields


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """An identity that may have been written before a field was added, whose default trains as before."""
    specs = FIELDS.get(str(values.get("task")), ())
    return {spec.name: spec.default for spec in specs if spec.name != "epochs"} | dict(values)


def fingerprint(values: Mapping[str, Any]) -> str:
    """SHA-256 of ``values`` in canonical JSON."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
