"""From the API's study and trials to the engine's, and parameter values to text and back."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hpo_engine import space, study, trial
from hpo_engine.errors import StudyError
from hpo_engine.prior_knowledge import Belief as Known
from hpo_operator.api.goals import Belief
from hpo_operator.api.parameters import Parameter, When
from hpo_operator.api.study import StudySpec
from hpo_operator.api.words import show


def engine_study(spec: StudySpec) -> study.Study:
    """The study as the engine plans it.

    Raises:
        StudyError: the space or the fidelity cannot be planned; ``field`` is relative to ``spec``.
    """
    sampler = spec.algorithm.sampler
    fidelity, second = spec.fidelity, spec.second_objective
    return study.Study(
        space=space.Space(tuple(_parameter(p) for p in spec.parameters)),
        objective=study.Objective(spec.objective.metric, spec.objective.direction == "Maximize", spec.objective.target),
        trials=spec.budget.trials,
        seed=spec.seed,
        sampler=study.SamplerSettings(
            sampler.type,
            sampler.initial_trials,
            sampler.kernel or "Matern52",
            sampler.acquisition or "LogEI",
            bool(sampler.cost_aware),
            bool(sampler.marginalise),
            bool(sampler.input_warping),
        ),
        scheduler=spec.algorithm.scheduler.type,
        fidelity=None
        if fidelity is None
        else study.Fidelity(fidelity.resource, fidelity.min, fidelity.max, fidelity.eta),
        constraints=tuple(study.Constraint(c.metric, c.max, c.min) for c in spec.constraints),
        second=None if second is None else study.Objective(second.metric, second.direction == "Maximize"),
        initial_points=tuple(_point(spec, i, texts) for i, texts in enumerate(spec.initial_points)),
        beliefs=tuple(_belief(spec, i, belief) for i, belief in enumerate(spec.beliefs)),
    )


def _point(spec: StudySpec, i: int, texts: Mapping[str, str]) -> trial.Parameters:
    try:
        return from_text(spec, texts)
    except ValueError as error:
        path, _, message = str(error).partition(": ")
        raise StudyError(f"initialPoints[{i}].{path.removeprefix('spec.parameters.')}", message) from None


def _belief(spec: StudySpec, i: int, belief: Belief) -> Known:
    if belief.parameter not in {p.name for p in spec.parameters}:
        found = show(belief.parameter)
        raise StudyError(f"beliefs[{i}].parameter", f"expected a parameter of the study, found {found}")
    try:
        (value,) = from_text(spec, {belief.parameter: belief.value}).values()
    except ValueError:
        raise StudyError(f"beliefs[{i}].value", f"expected a number, found {show(belief.value)}") from None
    return Known(belief.parameter, value, belief.spread)


def _parameter(p: Parameter) -> space.Parameter:
    condition = None if p.when is None else _condition(p.when)
    if p.float_ is not None:
        return space.FloatParameter(
            p.name, p.float_.min, p.float_.max, p.float_.scale == "Log", p.float_.step, condition
        )
    if p.int_ is not None:
        return space.IntParameter(p.name, p.int_.min, p.int_.max, p.int_.scale == "Log", p.int_.step, condition)
    if p.categorical is not None:
        return space.CategoricalParameter(p.name, tuple(p.categorical.choices), condition)
    assert p.ordinal is not None  # one of the four: Parameter.rules
    return space.OrdinalParameter(p.name, tuple(p.ordinal.values), condition)


def _condition(when: When) -> space.Condition:
    return space.Condition(when.parameter, None if when.in_ is None else tuple(when.in_), when.min, when.max)


def to_text(parameters: trial.Parameters) -> dict[str, str]:
    """Values as text that reads back exactly: ``repr`` of a float is the shortest that does."""
    return {name: value if isinstance(value, str) else repr(value) for name, value in parameters.items()}


def from_text(spec: StudySpec, texts: Mapping[str, str]) -> trial.Parameters:
    """The inverse of ``to_text``, by the kind that the study declares.

    Raises:
        ValueError: a name that the study does not have, or text that is no number where one is declared.
    """
    kinds = {p.name: p for p in spec.parameters}
    values: trial.Parameters = {}
    for name, text in texts.items():
        if name not in kinds:
            raise ValueError(f"spec.parameters.{name}: expected a parameter of the study, found an unknown name")
        p = kinds[name]
        try:
            values[name] = (
                text if p.categorical else int(text) if p.int_ else _finite(text, whole=p.ordinal is not None)
            )
        except ValueError:
            raise ValueError(f"spec.parameters.{name}: expected a number, found {show(text)}") from None
    return values


def _finite(text: str, whole: bool) -> int | float:
    """``whole``: a whole number as an int, as the engine writes ordinals."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return int(value) if whole and value.is_integer() else value
