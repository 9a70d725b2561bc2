"""Nothing is lost on the way in or out: studies, their defaults, and parameter values as text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api import corpus, structural
from api.specs import studies
from hpo_engine import space
from hpo_engine.trial import Parameters
from hpo_operator.api import engine_study
from hpo_operator.api.crd import study_crd
from hpo_operator.api.parse import parse_study
from hpo_operator.api.study import StudySpec
from hpo_operator.api.trial import TrialSpec
from hpo_operator.studies.study_file import read_study_files, yaml_text

VALID = ["classification", "pod", "rich_task", "rich_pod"]
SPEC = study_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def without_empty_text(value: Any) -> Any:
    """The one default that the schema leaves out: an absent text is an empty one."""
    if isinstance(value, dict):
        return {k: without_empty_text(v) for k, v in value.items() if v != ""}
    return [without_empty_text(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", VALID)
def test_a_study_survives_being_written_and_read(name: str) -> None:
    raw = corpus.study(name)
    study = parse_study(raw)
    again = parse_study(json.loads(json.dumps(raw | {"spec": study.spec.dump()})))
    assert again == study
    assert (study.name, study.namespace) == (raw["metadata"]["name"], raw["metadata"].get("namespace", "default"))


def test_every_section_arrives_where_the_engine_and_the_pods_read_it() -> None:
    study = parse_study(corpus.study("rich_task"))
    planned = engine_study.engine_study(study.spec)
    assert (study.uid, study.generation) == ("6c1f2a54-0000-4000-8000-000000000001", 3)
    assert (planned.trials, planned.seed, planned.scheduler) == (60, 7, "Hyperband")
    assert planned.objective.maximize and planned.objective.reached(0.96) and not planned.objective.reached(0.94)
    assert (planned.sampler.kernel, planned.sampler.acquisition, planned.sampler.initial_trials) == (
        "SquaredExponential", "EI", 8,
    )  # fmt: skip
    assert planned.fidelity is not None and (planned.fidelity.minimum, planned.fidelity.maximum) == (3, 81)
    kinds = {p.name: p for p in planned.space.parameters}
    assert kinds["learningRate"] == space.FloatParameter("learningRate", 1e-5, 0.1, log=True)
    assert kinds["dropout"] == space.FloatParameter("dropout", 0, 0.5, step=0.1)
    assert kinds["batchSize"] == space.IntParameter("batchSize", 4, 32, step=4)
    assert kinds["depth"] == space.OrdinalParameter("depth", (2, 3, 4))
    assert kinds["weightDecay"].condition == space.Condition("optimizer", values=("AdamW",))
    assert kinds["residualUnits"].condition == space.Condition("channels", low=16)
    assert study.spec.trainer.task is not None and study.spec.trainer.task[0] == "segmentation"
    assert study.spec.trainer.resources.limits == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": 1}
    assert study.spec.budget.failure_limit == 5


def test_a_pod_template_is_kept_as_it_is() -> None:
    raw = corpus.study("rich_pod")
    assert parse_study(raw).spec.trainer.pod_template == raw["spec"]["trainer"]["podTemplate"]


@pytest.mark.parametrize("name", VALID)
def test_pydantic_and_the_api_server_fill_the_same_defaults(name: str) -> None:
    spec = corpus.study(name)["spec"]
    filled = structural.stored(SPEC, spec)
    assert without_empty_text(StudySpec.model_validate(spec).dump()) == filled
    assert StudySpec.model_validate(filled) == StudySpec.model_validate(spec)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(studies())
def test_any_spec_gets_the_same_defaults(spec: dict[str, Any]) -> None:
    filled = structural.stored(SPEC, spec)
    assert without_empty_text(StudySpec.model_validate(spec).dump()) == without_empty_text(filled)


KINDS = parse_study(corpus.study("pod")).spec  # kind, degree, width, size: one parameter of each kind
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.text(max_size=20),
        "degree": st.integers(),
        "width": st.floats(allow_nan=False, allow_infinity=False),
        "size": st.integers(-(2**53), 2**53) | st.sampled_from([0.1, 2.5, -1e-300, 1 / 3]),
    },
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(VALUES)
def test_values_read_back_exactly(values: Parameters) -> None:
    texts = engine_study.to_text(values)
    TrialSpec.model_validate({"study": "s", "index": 0, "resource": 0, "parameters": texts})
    read = engine_study.from_text(KINDS, texts)
    assert read == values
    assert [type(read[name]) for name in values] == [type(value) for value in values.values()]


@pytest.mark.parametrize("name", VALID)
def test_what_the_engine_suggests_reads_back_exactly(name: str) -> None:
    spec = parse_study(corpus.study(name)).spec
    suggestions = engine_study.engine_study(spec).space
    for unit in np.random.default_rng(0).random((50, len(spec.parameters))):
        values = suggestions.decode(unit)
        read = engine_study.from_text(spec, engine_study.to_text(values))
        assert read == values and [*map(type, read.values())] == [*map(type, values.values())]


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"widht": "1"}, "spec.parameters.widht: expected a parameter of the study, found an unknown name"),
        ({"width": "wide"}, 'spec.parameters.width: expected a number, found "wide"'),
        ({"width": "nan"}, 'spec.parameters.width: expected a number, found "nan"'),
        ({"size": "inf"}, 'spec.parameters.size: expected a number, found "inf"'),
        ({"degree": "2.5"}, 'spec.parameters.degree: expected a number, found "2.5"'),
        ({"degree": ""}, 'spec.parameters.degree: expected a number, found ""'),
    ],
)
def test_text_that_is_no_value(texts: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        engine_study.from_text(KINDS, texts)
    assert str(caught.value) == sentence


@given(text=st.from_regex(r"[-+]?[0-9]{0,3}\.?[0-9]{1,3}[eE][-+]?[0-9]{1,3}", fullmatch=True) | st.text(max_size=8))
@example("1e-05")
@example("94372e11")
def test_what_is_written_as_yaml_reads_back_as_the_same_texts(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """PyYAML alone writes 1e-05 without quotes, and Kubernetes' tools then read a number."""
    file = tmp_path_factory.mktemp("yaml") / "objects.yaml"
    value = {"parameters": {"learningRate": text}, "value": 1e-05}
    file.write_text(yaml_text(value), encoding="utf-8")
    assert read_study_files(file) == [value]
