"""Configurations: what is read from where, and what is said about wrong ones."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from hpo_trainer.config import FIELDS, ClassificationConfig, SegmentationConfig, fingerprint, identity, parse
from hpo_trainer.environment import check_objective, parse_settings
from hpo_trainer.failures import BadConfig
from trainer.support import TRAINER

GIVEN = {"HPO_TASK": "classification", "HPO_DATA_DIR": "/data"}

BAD_CONFIGS: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    (
        "clasification",
        {},
        {},
        "HPO_TASK",
        "expected one of classification, segmentation, templateDeformation, transferClassification, "
        "transferSegmentation, found 'clasification'; did you mean classification?",
    ),
    (
        "classification",
        {"learningrate": 1},
        {},
        "HPO_CONFIG.learningrate",
        "no field of the task classification; did you mean learningRate?",
    ),
    ("classification", {}, {"channels": 8}, "HPO_PARAMETERS.channels", "no field of the task classification"),
    (
        "classification",
        {"learningRate": "fast"},
        {},
        "HPO_CONFIG.learningRate",
        'expected a number from 1e-09 to 100, found "fast"',
    ),
    (
        "classification",
        {},
        {"learningRate": 0},
        "HPO_PARAMETERS.learningRate",
        "expected a number from 1e-09 to 100, found 0",
    ),
    (
        "classification",
        {},
        {"batchSize": 7.5},
        "HPO_PARAMETERS.batchSize",
        "expected an integer from 1 to 4096, found 7.5",
    ),
    (
        "classification",
        {"batchSize": True},
        {},
        "HPO_CONFIG.batchSize",
        "expected an integer from 1 to 4096, found true",
    ),
    (
        "classification",
        {"batchSize": None},
        {},
        "HPO_CONFIG.batchSize",
        "expected an integer from 1 to 4096, found null",
    ),
    (
        "classification",
        {"augmentation": "maybe"},
        {},
        "HPO_CONFIG.augmentation",
        'expected true or false, found "maybe"',
    ),
    ("classification", {"augmentation": 1}, {}, "HPO_CONFIG.augmentation", "expected true or false, found 1"),
    (
        "classification",
        {"optimizer": "adam"},
        {},
        "HPO_CONFIG.optimizer",
        'expected one of SGD, Adam, AdamW, found "adam"; did you mean Adam?',
    ),
    (
        "classification",
        {"denseUnits": 4096},
        {},
        "HPO_CONFIG.denseUnits",
        "expected a list of integers from 1 to 65536, found 4096",
    ),
    (
        "classification",
        {"denseUnits": [64, 0]},
        {},
        "HPO_CONFIG.denseUnits[1]",
        "expected an integer from 1 to 65536, found 0",
    ),
    (
        "classification",
        {"denseUnits": [4, 4, 4, 4, 4, 4, 4, 4, 4]},
        {},
        "HPO_CONFIG.denseUnits",
        "expected at most 8 numbers, found 9",
    ),
    ("classification", {}, {"kernelSize": 4}, "HPO_PARAMETERS.kernelSize", "expected an odd number, found 4"),
    (
        "classification",
        {"imageSize": 28},
        {"blocks": 5},
        "HPO_PARAMETERS.blocks",
        "expected at most 4, since each block halves the image and imageSize is 28, found 5",
    ),
    (
        "classification",
        {"dataset": "../secret"},
        {},
        "HPO_CONFIG.dataset",
        "expected a path inside the data volume, found '../secret'",
    ),
    (
        "classification",
        {"splitFile": "/etc/passwd"},
        {},
        "HPO_CONFIG.splitFile",
        "expected a path inside the data volume, found '/etc/passwd'",
    ),
    ("segmentation", {"dimensions": "4D"}, {}, "HPO_CONFIG.dimensions", 'expected one of 2D, 3D, found "4D"'),
    ("segmentation", {"patchSize": [32]}, {}, "HPO_CONFIG.patchSize", "expected 2 numbers for 2D, or none, found [32]"),
    (
        "segmentation",
        {"patchSize": [32, 30]},
        {"depth": 3},
        "HPO_CONFIG.patchSize[1]",
        "expected a multiple of 4 and at least 8, since depth is 3, found 30",
    ),
    (
        "segmentation",
        {"patchSize": [4, 8]},
        {},
        "HPO_CONFIG.patchSize[0]",
        "expected a multiple of 4 and at least 8, since depth is 3, found 4",
    ),
    ("segmentation", {"epochs": 0}, {}, "HPO_CONFIG.epochs", "expected an integer from 1 to 100000, found 0"),
]

BAD_VARIABLES = [
    ({"HPO_CONFIG": "{"}, "HPO_CONFIG: expected a JSON object, found '{': "),
    ({"HPO_CONFIG": "[1]"}, "HPO_CONFIG: expected a JSON object, found '[1]'"),
    ({"HPO_PARAMETERS": '{"learningRate": NaN}'}, "HPO_PARAMETERS: expected a JSON object, found "),
    ({"HPO_RESOURCE_NAME": "iterations", "HPO_RESOURCE": "3"}, "HPO_RESOURCE_NAME: expected epochs, "),
    ({"HPO_RESOURCE_NAME": "epochs"}, "HPO_RESOURCE: expected the number of epochs to train to, found none"),
    ({"HPO_RESOURCE_NAME": "epochs", "HPO_RESOURCE": "0"}, "HPO_RESOURCE: expected an integer from 1 to 100000"),
    ({"HPO_RESOURCE_NAME": "epochs", "HPO_RESOURCE": "3.0"}, "HPO_RESOURCE: expected an integer from 1 to 100000"),
    ({"HPO_SEED": "-1"}, "HPO_SEED: expected an integer from 0 to 2147483647, found '-1'"),
    ({"HPO_THREADS": "many"}, "HPO_THREADS: expected an integer from 1 to 4096, found 'many'"),
    ({"HPO_DATA_DIR": ""}, "HPO_DATA_DIR: expected the folder of the data volume, found none"),
]


@pytest.mark.parametrize(("task", "config", "parameters", "path", "message"), BAD_CONFIGS)
def test_what_is_said_about_a_bad_configuration(
    task: str, config: dict[str, Any], parameters: dict[str, Any], path: str, message: str
) -> None:
    with pytest.raises(BadConfig) as caught:
        parse(task, config, parameters)
    assert (caught.value.path, str(caught.value)) == (path, f"{path}: {message}")


@pytest.mark.parametrize(("variables", "message"), BAD_VARIABLES, ids=[row[1][:50] for row in BAD_VARIABLES])
def test_what_is_said_about_bad_variables(variables: dict[str, str], message: str) -> None:
    with pytest.raises(BadConfig) as caught:
        parse_settings(GIVEN | variables)
    assert str(caught.value).startswith(message)


def test_a_missing_task_is_told() -> None:
    with pytest.raises(BadConfig, match="HPO_TASK: expected the name of a task, found none"):
        parse_settings({})


def test_parameters_override_the_configuration_and_the_resource_overrides_both() -> None:
    config = {"learningRate": 0.1, "batchSize": 4, "epochs": 5}
    parsed = parse("classification", config, {"learningRate": 0.2, "epochs": 6}, epochs=27)
    assert (parsed.learning_rate, parsed.batch_size, parsed.epochs) == (0.2, 4, 27)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("yes", True), ("False", False), ("no", False)])
def test_categorical_parameters_arrive_as_text(text: str, value: bool) -> None:
    parsed = parse("classification", {}, {"separable": text, "optimizer": "AdamW"})
    assert isinstance(parsed, ClassificationConfig)
    assert (parsed.separable, parsed.optimizer) == (value, "AdamW")


def test_whole_floats_are_integers_and_integers_are_floats() -> None:
    parsed = parse("segmentation", {}, {"channels": 32.0, "channelMultiplier": 2})
    assert isinstance(parsed, SegmentationConfig)
    assert (parsed.channels, parsed.channel_multiplier) == (32, 2.0)
    assert type(parsed.channels) is int
    assert type(parsed.channel_multiplier) is float


@pytest.mark.parametrize("task", FIELDS)
def test_every_default_is_a_valid_value(task: str) -> None:
    given = {
        spec.name: list(spec.default) if isinstance(spec.default, tuple) else spec.default for spec in FIELDS[task]
    }
    assert parse(task, given, {}) == parse(task, {}, {})


def test_the_fingerprint_ignores_the_epochs_alone() -> None:
    def of(parameters: dict[str, Any], seed: int = 0) -> str:
        return fingerprint(identity("segmentation", parse("segmentation", {}, parameters), seed))

    assert of({"epochs": 3}) == of({"epochs": 9})
    assert len({of({}), of({}, seed=1), of({"learningRate": 0.002}), of({"depth": 2})}) == 4


def test_an_objective_that_the_task_never_reports_is_refused() -> None:
    with pytest.raises(
        BadConfig, match="HPO_OBJECTIVE: expected one of accuracy, errors, found 'acuracy'; did you mean"
    ):
        check_objective("acuracy", ("accuracy", "errors"))


def test_a_bad_configuration_is_refused_before_anything_heavy_is_imported() -> None:
    code = (
        "import sys, hpo_trainer, hpo_trainer.environment, hpo_trainer.__main__;"
        "sys.exit(', '.join({'torch', 'numpy', 'monai', 'PIL', 'prometheus_client'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(TRAINER)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
