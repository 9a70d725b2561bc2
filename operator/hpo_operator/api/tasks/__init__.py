"""The built-in training tasks and their configuration, as a study may state it under ``spec.trainer``.

Every field may be tuned instead: a parameter of the same name overrides it. The trainer declares the same fields;
a contract test holds the two lists together.
"""

from __future__ import annotations

from typing import cast, get_args

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from hpo_operator.api.tasks.classification import ClassificationTask
from hpo_operator.api.tasks.segmentation import SegmentationTask
from hpo_operator.api.tasks.task import Task
from hpo_operator.api.tasks.template_deformation import TemplateDeformationTask
from hpo_operator.api.tasks.transfer_classification import TransferClassificationTask
from hpo_operator.api.tasks.transfer_segmentation import TransferSegmentationTask

__all__ = [
    "ODD",
    "TASKS",
    "ClassificationTask",
    "SegmentationTask",
    "Task",
    "TemplateDeformationTask",
    "TransferClassificationTask",
    "TransferSegmentationTask",
    "bounds_of",
    "choices_of",
]

TASKS: dict[str, type[Task]] = {
    "classification": ClassificationTask,
    "segmentation": SegmentationTask,
    "templateDeformation": TemplateDeformationTask,
    "transferClassification": TransferClassificationTask,
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
