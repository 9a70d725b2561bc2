"""A study in Optuna's words, in an Optuna storage. Needs the package optuna, which nothing else here does.

Conditional parameters become parameters that only some trials have, which is how Optuna's define-by-run spaces look.
Each rung's measurement is an intermediate value at its resource; the last one is the trial's value.
"""

from __future__ import annotations

import math
from datetime import datetime

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from hpo_engine.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter
from hpo_engine.trial import Trial, Value
from hpo_operator.api.trial import HpoTrial
from hpo_operator.mistakes import Mistake
from hpo_operator.report.stored_study import StoredStudy


def store(stored: StoredStudy, url: str) -> int:
    """How many trials were written: all that ended.

    Raises:
        Mistake: the storage cannot be opened, or has a study of this name.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            storage=url,
            study_name=stored.name,
            direction="maximize" if stored.study.objective.maximize else "minimize",
        )
    except optuna.exceptions.DuplicatedStudyError:
        raise Mistake(f"{url}: has a study {stored.name} already; choose another storage with --out") from None
    except Exception as error:  # whatever the storage's driver raises
        raise Mistake(f"{url}: {' '.join(str(error).split())}") from None
    distributions = {parameter.name: _distribution(parameter) for parameter in stored.study.space.parameters}
    ended = [
        (trial, found) for trial, found in zip(stored.trials, stored.objects, strict=True) if _state(found) is not None
    ]
    study.add_trials([_frozen(trial, found, distributions) for trial, found in ended])
    return len(ended)


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, FloatParameter):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
    if isinstance(parameter, IntParameter):
        return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
    if isinstance(parameter, CategoricalParameter):
        return CategoricalDistribution(parameter.choices)
    return CategoricalDistribution(parameter.values)


def _frozen(trial: Trial, found: HpoTrial, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    state = _state(found)
    assert state is not None  # only ended trials come here
    values: dict[str, Value] = dict(trial.parameters)
    return FrozenTrial(
        number=trial.index,
        trial_id=trial.index,
        state=state,
        value=trial.latest.value if state is not TrialState.FAIL and trial.measurements else None,
        params=values,
        distributions={name: distributions[name] for name in values},
        intermediate_values={m.resource: m.value for m in trial.measurements if math.isfinite(m.value)},
        user_attrs=dict(trial.latest.metrics) if trial.measurements else {},
        system_attrs={},
        datetime_start=_time(found.status.start_time),
        datetime_complete=_time(found.status.completion_time),
    )


def _state(found: HpoTrial) -> TrialState | None:
    """None: it has not ended. A trial that was not promoted is a pruned one there, with a value."""
    if found.status.phase == "Succeeded":
        return TrialState.PRUNED if found.status.reason == "NotPromoted" else TrialState.COMPLETE
    return {"Failed": TrialState.FAIL, "Stopped": TrialState.PRUNED}.get(found.status.phase)


def _time(text: str | None) -> datetime:
    """Optuna wants both of an ended trial, without a time zone."""
    return datetime.fromisoformat((text or "1970-01-01T00:00:00Z").replace("Z", "+00:00")).replace(tzinfo=None)
