"""The built-in tasks are declared twice, in the study's schema and in the trainer: both must say the same."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

from hpo_operator.api.tasks import ODD, TASKS, bounds_of
from hpo_trainer import config
from hpo_trainer.failures import BadConfig


def operator_fields(task: str) -> dict[str, config.FieldSpec]:
    """The operator's declaration in the trainer's words."""
    return {f.alias or name: _spec(f.alias or name, f) for name, f in TASKS[task].model_fields.items()}


def _spec(name: str, field: FieldInfo) -> config.FieldSpec:
    bounded, kind, default = field, field.annotation, field.default
    if get_origin(kind) is list:
        bounded, default = FieldInfo.from_annotation(get_args(kind)[0]), tuple(default)
    least, most = bounds_of(bounded)
    choices = tuple(get_args(kind)) if get_origin(kind) not in (None, list) else ()
    kinds: dict[Any, config.FieldType] = {int: "int", float: "float", bool: "bool", str: "str"}
    type_ = "list[int]" if get_origin(kind) is list else "str" if choices else kinds[kind]
    return config.FieldSpec(name, type_, default, least, most, choices)


@pytest.mark.parametrize("task", sorted(config.FIELDS))
def test_operator_and_trainer_declare_the_same_fields(task: str) -> None:
    trainer = {spec.name: dataclasses.replace(spec, choices=tuple(spec.choices)) for spec in config.FIELDS[task]}
    assert operator_fields(task) == trainer


def test_operator_and_trainer_have_the_same_tasks() -> None:
    assert set(TASKS) == set(config.FIELDS)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_the_trainer_takes_the_configuration_that_the_operator_sends(task: str) -> None:
    assert config.parse(task, TASKS[task]().dump(), {}) == config.CONFIGS[task]()


@pytest.mark.parametrize(
    ("task", "field", "value"),
    [
        ("classification", "kernelSize", 4),
        ("classification", "dataset", "../elsewhere"),
        ("classification", "dataset", "/data"),
        ("segmentation", "splitFile", "a/../../b.csv"),
        ("segmentation", "patchSize", [32, 32, 32]),
        ("segmentation", "patchSize", [32]),
        ("segmentation", "mirrorAxes", [0, 2]),
        ("segmentation", "mirrorAxes", [1, 1]),
        ("transferClassification", "weights", "../other/{backbone}.pt"),
        ("transferClassification", "microBatchSize", 2),
        ("transferSegmentation", "sourceCheckpoint", "../other/checkpoint.pt"),
        ("transferSegmentation", "sourceDataset", "/data"),
    ],
)
def test_both_refuse_what_no_bound_can_say(task: str, field: str, value: Any) -> None:
    model = TASKS[task].model_validate({field: value})
    assert [rule.field for rule in model.rules if not rule.holds(model)] == [field]
    with pytest.raises(BadConfig):
        config.parse(task, {field: value}, {})


def test_the_odd_fields_are_fields() -> None:
    assert set(ODD) <= set(operator_fields("classification"))
