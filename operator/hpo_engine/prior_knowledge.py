"""What is known before the first trial: configurations to begin with, beliefs of the user, earlier studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hpo_engine.errors import StudyError, listed
from hpo_engine.parameters import CategoricalParameter
from hpo_engine.space import Space
from hpo_engine.trial import Parameters, Value


@dataclass(frozen=True)
class Belief:
    """The best value of ``parameter`` is thought to be near ``value``.

    ``spread``: for numbers a standard deviation, as a share of the parameter's range (on its own scale); for a
    categorical the probability that it is another choice. Between 0 and 1, both excluded.
    """

    parameter: str
    value: Value
    spread: float = 0.25


@dataclass(frozen=True)
class Earlier:
    """Trials of another study: ``parameters`` (n) as in this study's space, and what was to be minimised there (n)."""

    name: str
    parameters: tuple[Parameters, ...]
    losses: tuple[float, ...]


def check_knowledge(
    space: Space, points: Sequence[Parameters], beliefs: Sequence[Belief], earlier: Sequence[Earlier]
) -> None:
    """Raises StudyError unless all of it is about this space. Trials of earlier studies that are not are left out."""
    for i, point in enumerate(points):
        try:
            space.check(point)
        except StudyError as error:
            raise StudyError(f"initialPoints[{i}].{error.field.removeprefix('parameters.')}", error.message) from None
    by_name = {p.name: p for p in space.parameters}
    for i, belief in enumerate(beliefs):
        p = by_name.get(belief.parameter)
        if p is None:
            raise StudyError(
                f"beliefs[{i}].parameter", f"expected a parameter of the study, found {belief.parameter!r}"
            )
        if isinstance(p, CategoricalParameter) and belief.value not in p.choices:
            raise StudyError(f"beliefs[{i}].value", f"expected one of {listed(p.choices)}, found {belief.value!r}")
        if not isinstance(p, CategoricalParameter) and isinstance(belief.value, str):
            raise StudyError(f"beliefs[{i}].value", f"expected a number, found {belief.value!r}")
        if not 0 < belief.spread < 1:
            raise StudyError(f"beliefs[{i}].spread", f"expected a number between 0 and 1, found {belief.spread}")
    for i, study in enumerate(earlier):
        if len(study.parameters) != len(study.losses):
            raise StudyError(f"earlier[{i}]", "expected as many losses as configurations")


def usable(space: Space, study: Earlier) -> tuple[list[Parameters], list[float]]:
    """The trials of an earlier study that are configurations of ``space`` and measured a number."""
    parameters, losses = [], []
    for point, loss in zip(study.parameters, study.losses, strict=True):
        try:
            space.check(point)
        except StudyError:
            continue
        if math.isfinite(loss):
            parameters.append(point)
            losses.append(loss)
    return parameters, losses
