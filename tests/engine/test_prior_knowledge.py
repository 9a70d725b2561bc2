"""What users know beforehand: configurations to begin with, beliefs, earlier studies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.studies import BRANIN, MIXED, Cluster, branin, make_study
from hpo_engine.errors import StudyError
from hpo_engine.planner import plan
from hpo_engine.prior_knowledge import Belief, Earlier
from hpo_engine.study import Constraint, SamplerName, Study
from hpo_engine.trial import Parameters

POINTS: tuple[Parameters, ...] = ({"x": 1.0, "y": 2.0}, {"x": 9.0, "y": 3.0}, {"x": 1.0, "y": 2.0})


@pytest.mark.parametrize("sampler", ["GP", "TPE", "Random", "Sobol"])
def test_given_points_come_first_and_none_twice(sampler: SamplerName) -> None:
    study = replace(make_study(BRANIN, sampler, trials=6), initial_points=POINTS)
    started = plan(study, (), 6).start
    assert tuple(s.parameters for s in started[:2]) == POINTS[:2]
    assert [s.rationale.origin for s in started[:2]] == ["Given", "Given"]
    assert started[2].parameters != POINTS[2]
    usual = Cluster(make_study(BRANIN, sampler, trials=6), branin).run()
    given = Cluster(replace(usual.study, initial_points=()), branin).run()
    assert usual.plans == given.plans


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"initial_points": ({"x": 1.0},)}, "initialPoints[0].y"),
        ({"beliefs": (Belief("z", 1.0),)}, "beliefs[0].parameter"),
        ({"beliefs": (Belief("x", "SGD"),)}, "beliefs[0].value"),
        ({"beliefs": (Belief("x", 1.0, 1.5),)}, "beliefs[0].spread"),
        ({"earlier": (Earlier("old", (), (1.0,)),)}, "earlier[0]"),
        ({"constraints": (Constraint("seconds"),)}, "constraints[0]"),
        ({"constraints": (Constraint("seconds", 1.0, 1.0),)}, "constraints[0]"),
    ],
)
def test_what_is_not_about_the_space_is_refused_with_its_place(changes: dict[str, object], field: str) -> None:
    with pytest.raises(StudyError) as refused:
        replace(make_study(BRANIN), **changes)  # type: ignore[arg-type]
    assert refused.value.field == field


def test_a_belief_in_no_choice_is_refused() -> None:
    with pytest.raises(StudyError, match="expected one of SGD, Adam, AdamW, found 'LBFGS'"):
        Study(MIXED, make_study(MIXED).objective, 4, beliefs=(Belief("optimizer", "LBFGS"),))
